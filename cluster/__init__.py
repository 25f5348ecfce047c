"""How the project is operated: the command line, the demo, the doctor, and the ground that everything stands on.

`entry` is the console script; `cli` finds and runs commands and may import everything. `demo` and `doctor` do the work
of two commands. `ground` is errors, configuration files, processes and signals; it imports nothing of ours.
"""
