"""What every other folder may use: errors, checks, configuration files, overrides, processes, signals, progress.

It imports nothing else of this project.
"""
