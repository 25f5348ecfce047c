"""Two floors: the roof (cli, entry) starts jobs and knows every recipe; the ground imports nothing of ours.

The ground is errors, serialize, process and preemption.
"""
