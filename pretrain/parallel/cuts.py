"""How a model is cut: which weights by tensor parallelism, which layers by pipeline parallelism.

Tables and arithmetic only: budgets read them without Megatron-core.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from videoar.pretrain.checkpoint.fragment import Cut
from videoar.pretrain.config import ModelConfig

Role = Literal["column", "row", "partial"]


PLAN: dict[str, Role] = {
    r"blocks\.\d+\.attention\.qkv": "column",
    r"blocks\.\d+\.attention\.out": "row",
    r"blocks\.\d+\.attention\.(q_norm|k_norm)": "partial",
    r"blocks\.\d+\.feed_forward\.gate_up": "column",
    r"blocks\.\d+\.feed_forward\.down": "row",
}


SEQUENCE_PLAN: dict[str, Role] = PLAN | {r"blocks\.\d+\.(attention_norm|feed_forward_norm)": "partial"}
"""With sequence parallelism the norms between the cut layers see only this process's tokens."""


_CUT_DIM: dict[Role, int] = {"column": 0, "row": 1}


def role_of(module_name: str, plan: dict[str, Role]) -> Role | None:
    """The role of a module in the plan; None: every process of the tensor group holds and computes all of it."""
    for pattern, role in plan.items():
        if re.fullmatch(pattern, module_name):
            return role
    return None


def cut_of(parameter_name: str, tensor_rank: int, tensor_size: int) -> Cut | None:
    """The part of a parameter that one rank of the tensor group holds; None: all of it."""
    role = role_of(parameter_name.rpartition(".")[0], PLAN)
    if role not in _CUT_DIM or tensor_size == 1:
        return None
    return Cut(_CUT_DIM[role], tensor_rank, tensor_size)


def split_layers(config: ModelConfig, parts: int) -> list[range]:
    """Contiguous layers for each of `parts` stages, in order, so that the most expensive stage is as cheap as possible.

    The first stage also embeds; the last one also has the head and the loss. Costs are in multiply-adds per token.
    """
    block = 16.0 * config.width**2
    costs = [block] * config.num_layers
    ends = 1.0 * config.width * config.latent_dim, 2.0 * config.width * config.latent_dim
    return _split(costs, ends, parts)


def _split(costs: Sequence[float], ends: tuple[float, float], parts: int) -> list[range]:
    """Bisect the bound on the cost of a part, and fill parts from the front; every part gets at least one layer."""
    low, high = max(costs), sum(costs) + sum(ends)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if len(_fill(costs, ends, parts, middle)) == parts else (middle, high)
    return _fill(costs, ends, parts, high)


def _fill(costs: Sequence[float], ends: tuple[float, float], parts: int, bound: float) -> list[range]:
    """Ranges whose cost stays within the bound; fewer than `parts` when they do not fit."""
    ranges, start = [], 0
    for part in range(parts):
        last = part == parts - 1
        used = (ends[0] if part == 0 else 0.0) + (ends[1] if last else 0.0)
        stop, limit = start, len(costs) - (parts - 1 - part)
        while stop < limit and (stop == start or used + costs[stop] <= bound):
            used, stop = used + costs[stop], stop + 1
        if used > bound * (1 + 1e-12):
            return []
        ranges.append(range(start, stop))
        start = stop
    return ranges if start == len(costs) else []
