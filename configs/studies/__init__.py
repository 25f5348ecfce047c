"""Studies: each module has a function `study(tokenizer)` that returns one frozen value, and a docstring with its cost.

`arms` makes the arms of the paper's ablations from a base recipe, `find` finds a study by name.
"""
