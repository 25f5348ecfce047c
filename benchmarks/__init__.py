"""Benchmarks: one module each, run by `videoar bench NAME`; figures that were measured lie in results/.

Ratios compare what ran in one call on one machine, step by step in turn, and take medians: they hold on a machine that
others use too, where seconds alone would say little.
"""
