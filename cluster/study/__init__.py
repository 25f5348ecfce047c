"""`videoar study`: trains and measures the arms of a study, and makes its page.

`study` runs, `results` keeps one line per arm and seed, `table` and `page` show them.
"""
