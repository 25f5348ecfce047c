"""Where clips come from: folders, tables, tars, UCF-101, drawn shapes. Each file lists one kind of source.

`listing.py` chooses the kind and checks what it lists; `source.py` holds what all kinds share. May import `decoding`,
`storage` and `config`.
"""
