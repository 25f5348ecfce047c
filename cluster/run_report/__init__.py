"""The page of any run: curves, videos of samples, and what `diagnose` finds, in the style of the demo's page.

It may import cluster.demo.report, configs, pretrain and cluster.ground.
"""
