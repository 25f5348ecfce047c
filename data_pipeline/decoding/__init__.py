"""Decodes videos and images in a subprocess that may crash or hang without harm.

`client.py` is the owner's side, `sandbox/` the subprocess, `frame_sampling.py` the rules: which frames make up a clip.
May import `config`, `storage` and `cluster.ground`.
"""
