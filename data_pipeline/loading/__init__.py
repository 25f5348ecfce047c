"""Samples for training: which of them a step reads, in which packs, and how they are read in the background.

`packing` plans, `pack_reader` reads, `loader` does both ahead of the trainer; `online` makes the samples from a plan
without shards. It may import every folder of data_pipeline except preparing.
"""
