"""One optimizer step: the interface of every engine, the engine of a single process, and their common parts.

Loss, AdamW, learning rate, gradient norms by block, recomputation, profiling. Imports the batch, the model and
checkpoints; the engine of several processes is in `pretrain/parallel`.
"""
