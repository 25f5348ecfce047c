"""The commands `videoar tokenizer ...`: train or import a tokenizer, measure it, and look at what it keeps."""
