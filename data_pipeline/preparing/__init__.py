"""`videoar data run`: makes the shards of a plan on a Ray cluster. Other commands check, count, show and clean them.

Only `pool` and `ray_cluster` import Ray. It may import every folder of data_pipeline except loading.
"""
