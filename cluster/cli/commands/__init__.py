"""The commands of `videoar`, one file each: a dataclass whose fields are the options, and a function that runs it.

The function has the name of its file and is listed in `command_table`. Heavy packages are imported inside it, so that
`--help` answers at once.
"""
