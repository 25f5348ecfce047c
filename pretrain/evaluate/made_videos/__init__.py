"""Folders of generated videos for external judges: which videos, their names and seeds, and how they are made in parts.

It may import the sampler and the video distance's protocols.
"""
