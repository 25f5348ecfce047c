"""What a recipe needs before anything runs: packs, FLOPs, memory of a process, bytes of shards, machines, schedules.

Arithmetic on a recipe; it runs on a laptop. It may import the model, the tables of cuts (`parallel.cuts`,
`parallel.check`) and the data pipeline's order of packs, and neither Megatron-core nor DeepSpeed.
"""
