"""How one replica is cut up: the only code that knows Megatron-core or DeepSpeed."""

import warnings

# Both say at import that they run without fused kernels; `videoar doctor` says so where it helps.
warnings.filterwarnings("ignore", category=UserWarning, module=r"megatron\.")
warnings.filterwarnings("ignore", category=FutureWarning, module=r"(megatron|deepspeed)\.")
