"""What a run reports of each step: its record in metrics.jsonl and Weights & Biases, and the line in the terminal.

Imports the engines' results, the count of FLOPs and the run directory; nothing of the loop.
"""
