"""The commands `videoar data ...`: from clips to shards of bits, and looking after shards that are there."""
