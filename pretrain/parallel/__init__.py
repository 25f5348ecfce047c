"""How one replica of the model is cut over processes: the only code that uses Megatron-core or DeepSpeed.

`plan` and `check` are tables and arithmetic without either library. It may import the engine's parts, the batch, the
model and the checkpoints.
"""

import logging
import warnings

# Both warn at import that they run without fused kernels; `videoar doctor` reports that where it helps.
warnings.filterwarnings("ignore", category=UserWarning, module=r"megatron\.")
warnings.filterwarnings("ignore", category=FutureWarning, module=r"(megatron|deepspeed)\.")

# DeepSpeed logs once per process that it has found no GPU; its other warnings stay.
logging.getLogger("DeepSpeed").addFilter(
    lambda record: not record.getMessage().startswith("Setting accelerator to CPU")
)
