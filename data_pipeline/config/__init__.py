"""What is configured: datasets and their preparation, loading, and the training of a tokenizer.

Plain dataclasses that check themselves; recipes compose them. Imports `cluster.ground` and `tokenizer`'s configuration.
"""
