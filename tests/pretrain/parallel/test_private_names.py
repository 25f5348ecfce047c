"""The names inside Megatron-core and DeepSpeed that the sharded engine uses: an upgrade fails here first."""

from __future__ import annotations

import inspect

import pytest

pytestmark = pytest.mark.slow


def test_megatron_core() -> None:
    """Schedules, cut layers, mappings and groups, with the arguments we pass."""
    from megatron.core import parallel_state, tensor_parallel
    from megatron.core.pipeline_parallel import schedules
    from megatron.core.tensor_parallel.mappings import all_to_all
    from megatron.core.transformer import TransformerConfig
    from megatron.core.utils import make_viewless_tensor

    import videoar.pretrain.parallel  # noqa: F401  (quiets what Megatron-core says at import)

    linear = inspect.signature(tensor_parallel.ColumnParallelLinear.__init__).parameters
    assert {"config", "init_method", "bias", "gather_output", "skip_bias_add", "tp_group"} <= linear.keys()
    row = inspect.signature(tensor_parallel.RowParallelLinear.__init__).parameters
    assert {"config", "init_method", "bias", "input_is_parallel", "skip_bias_add", "tp_group"} <= row.keys()
    gather = inspect.signature(tensor_parallel.gather_from_sequence_parallel_region).parameters
    assert {"tensor_parallel_output_grad", "group"} <= gather.keys()
    assert list(inspect.signature(all_to_all).parameters)[:2] == ["group", "input_"]
    assert {"inp", "requires_grad", "keep_graph"} <= inspect.signature(make_viewless_tensor).parameters.keys()
    groups = inspect.signature(parallel_state.get_data_parallel_group).parameters
    assert "with_context_parallel" in groups
    for name in ("forward_backward_no_pipelining", "forward_backward_pipelining_without_interleaving"):
        schedule = inspect.getsource(getattr(schedules, name))
        assert "finalize_model_grads_func" in schedule
        assert "forward_data_store" in schedule
    assert "calculate_per_token_loss" in inspect.getsource(schedules.forward_step_calc_loss)
    assert {"sequence_parallel", "batch_p2p_comm", "overlap_p2p_comm"} <= set(TransformerConfig.__dataclass_fields__)


def test_deepspeed() -> None:
    """Where optimizers keep masters and moments, and the switches of the engine."""
    from deepspeed.runtime import bf16_optimizer
    from deepspeed.runtime.engine import DeepSpeedEngine
    from deepspeed.runtime.zero import stage3, stage_1_and_2
    from deepspeed.utils.tensor_fragment import tensor_fragment

    fields = tensor_fragment.__dataclass_fields__
    assert {"lp_fragment_address", "hp_fragment", "hp_fragment_address"} <= fields.keys()
    for name in ("allreduce_gradients", "set_gradient_accumulation_boundary", "get_global_grad_norm", "destroy"):
        assert callable(getattr(DeepSpeedEngine, name))
    engine = inspect.getsource(DeepSpeedEngine)
    assert "enable_backward_allreduce" in engine
    assert "managed_gradient_accumulation" in engine
    assert "self.overflow" in inspect.getsource(stage_1_and_2.DeepSpeedZeroOptimizer.step)
    assert "self.overflow" in inspect.getsource(bf16_optimizer.BF16_Optimizer.step)
    second = inspect.getsource(stage_1_and_2.DeepSpeedZeroOptimizer)
    for name in ("averaged_gradients", "all_grad_tensors", "micro_step_id", "_offload_accumulated_param_ids"):
        assert f"self.{name}" in second
    assert stage_1_and_2.INITIAL_MICRO_STEP_ID == -1
    third = inspect.getsource(stage3.DeepSpeedZeroOptimizer_Stage3)
    for name in ("grad_position", "fp32_partitioned_groups_flat", "def get_param_id"):
        assert name in third
