"""The command line: words become options, options run a command, and the result becomes lines and an exit code.

`command_table` names the commands; `commands/` has one file for each. A command may import everything, but only
inside its function, so that `--help` answers without importing torch.
"""
