"""What a recipe costs before anything runs: packs, FLOPs, hours, memory of a process, bytes of shards.

Arithmetic on a recipe; it runs on a laptop. It may import the model, the tables of cuts (`parallel.plan`,
`parallel.check`) and the data pipeline's order of packs, and neither Megatron-core nor DeepSpeed.
"""
