"""The commands of `videoar`, one file each: a dataclass whose fields are the options, and the call that does it.

Heavy packages are imported inside the functions, so that `--help` answers at once.
"""
