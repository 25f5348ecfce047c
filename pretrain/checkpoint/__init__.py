"""Checkpoints by parameter: any number of processes, cut in any way, reads what any other wrote.

`fragment.py` says which elements a process holds, `format.py` how they are stored, `saver.py` writes while training
continues. Imports the model and storage; nothing of the engines or the loop.
"""
