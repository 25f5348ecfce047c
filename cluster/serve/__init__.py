"""`videoar serve`: a page on this machine that makes videos.

`studio` makes what a filled form asks for, `page` is the form, `server` serves it; only the last two know Gradio.
It may import `pretrain.generate` and what that may import.
"""
