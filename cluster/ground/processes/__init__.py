"""Starts the processes of a job, passes signals to them, and watches them: hangs, slow ones, errors of the machine.

May import the other folders of `cluster.ground`, and nothing else of ours.
"""
