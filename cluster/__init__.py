"""How the project is operated: the command line, the demo, the doctor, and the basics that every package uses.

`entry` is the console script; `cli` finds and runs commands and may import everything. `demo` and `doctor` do the work
of two commands. `ground` has errors, configuration files, processes and signals; it imports no other folder.
"""
