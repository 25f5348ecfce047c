"""How a training starts: from scratch, from the weights of an export, under a changed recipe, or where it was stopped.

`run_checks` refuses what cannot work before anything is written. May import everything in `pretrain` that a run stands
on; only the loop, `diagnose` and the commands import it.
"""
