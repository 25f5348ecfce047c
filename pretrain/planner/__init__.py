"""`videoar plan`: how long a recipe takes on a cluster, what its processes hold, and which layout is best.

Arithmetic on the counts of `pretrain.budget` and on one set of constants of the machine; it runs on a laptop. It may
import `budget`, the tables of cuts and the data pipeline's configuration, and neither Megatron-core nor DeepSpeed.
"""
