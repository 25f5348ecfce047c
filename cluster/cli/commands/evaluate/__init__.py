"""The commands `videoar evaluate ...`, one file each: figures of generators."""
