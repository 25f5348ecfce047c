"""Slurm: an sbatch script and the states of its jobs. It may import the modules next to it in `cluster.submit`."""
