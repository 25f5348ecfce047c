"""Figures of a generator on held-out scenes of the small world, whose future and contents are known.

It may import the generator, the other measures of `evaluate`, and the world itself with its reader.
"""
