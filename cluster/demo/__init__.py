"""`videoar demo`: the whole path at toy size, and what each step costs; `report/` makes its page.

It may import configs and everything below them.
"""
