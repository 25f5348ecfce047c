"""The commands `videoar data ...`: make shards of bits from clips, and inspect, check and clean existing shards."""
