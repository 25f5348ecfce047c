"""Training a tokenizer (Eq. 4): losses, the loop, checkpoints."""
