"""From sources to a stored plan: every input is examined once and cut into clips, or left out with a reason.

`examine.py` looks at one file, `choose.py` at all files of a dataset, `stored_plan.py` keeps the result,
`all_datasets.py` does so for a whole configuration. May import `sources`, `decoding`, `shards`, `storage`, `config`.
"""
