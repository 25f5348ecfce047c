"""Fields of configurations: their limits and checks, YAML and back, and options of the command line that replace them.

May import `cluster.ground.errors`, and nothing else of ours.
"""
