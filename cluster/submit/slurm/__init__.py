"""Slurm: an sbatch script and the states of its jobs. It may import what is beside it in `cluster.submit`."""
