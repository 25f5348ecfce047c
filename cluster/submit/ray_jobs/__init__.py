"""Ray Jobs: a script, the Jobs API, and the driver that starts a command on every machine of a Ray cluster.

It may import the modules next to it in `cluster.submit`; only `machines`, which runs on the cluster, imports ray.
"""
