"""Benchmarks, one module each, run by `videoar bench NAME`; results/ has measured figures.

Speed of cases, each next to its floor: attention, train (and `llama`), decode, tokenizer, size1, machine; they share
`cases`, `floor`, `peak_memory`, `table` and `plot`. Training: sharding, pipeline, memory, checkpoint. Data: cutting,
data_units, data_overhead, loader. `run` calls one by name; `material` makes models and packs, `measure` takes times,
`processes` starts several. `scale` writes a page of plans. Ratios are medians of alternating calls, so they hold
on a shared machine, where seconds alone do not.
It may import everything but cluster.cli, cluster.demo and cluster.doctor.
"""
