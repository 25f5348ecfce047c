"""`videoar submit`, `status`, `logs` and `cancel`: one description of a job, rendered for engines that exist.

`job` describes the work, `engine` says what every engine does, and each engine has its own files: the only code that
knows Slurm, Ray Jobs and Kubernetes. It may import configs and everything below them. `templates/` has what is sent.
"""
