"""A first recipe for a folder of clips: `clips` looks at the folder, `machine` at this computer, `data` decides
buckets, `choose` the recipe, and `write` prints it as short YAML with comments.

It may import configs, pretrain, data_pipeline, tokenizer and cluster.ground.
"""
