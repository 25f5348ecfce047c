"""From a training checkpoint to a folder of weights: safetensors, configuration, tokenizer and model card.

It may import the checkpoints, the model's export format and the run directory.
"""
