"""How one replica is cut up: the only code that knows Megatron-core or DeepSpeed."""
