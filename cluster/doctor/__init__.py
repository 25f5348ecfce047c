"""`videoar doctor`: checks of the machine, its libraries and a store. It may import everything below `cluster.cli`."""
