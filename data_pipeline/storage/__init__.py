"""Objects on a disk or an object store: whole writes, ranged reads, listings, errors in one line.

`objects.py` is for every store, `s3.py` holds what S3 needs in addition. Imports `cluster.ground` only.
"""
