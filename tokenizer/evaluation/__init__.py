"""How well a tokenizer reconstructs: quality of pixels, use of bits, and a stream through the bits.

It may import the tokenizer and cluster.ground; training and commands import it.
"""
