"""`videoar data run`: makes the shards of a plan on a Ray cluster, and checks, counts, shows and clears them
afterwards.

Only `pool` and `ray_cluster` import Ray. It may import every folder of data_pipeline except loading.
"""
