"""Recipes: each module has a function `recipe()` that returns one frozen value, and a docstring with source and cost.

`load` finds a recipe by name or file, `sizes` has the models of the paper, `clips` finds three films for the demo.
It may import pretrain, data_pipeline, tokenizer and cluster.ground.
"""
