"""A Ray cluster to work on: the one this process is connected to, or one on this machine, on loopback only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants

from videoar.cluster.errors import InputError
from videoar.cluster.process import environment

_OBJECT_STORE_BYTES = 80 << 20
"""About the least that Ray accepts: payload never passes through the object store."""

_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""For Ray's processes: one machine, so every port is bound to 127.0.0.1; no report to the outside; leave
CUDA_VISIBLE_DEVICES of workers without a GPU alone."""


@contextmanager
def ray_cluster(num_actors: int, gpus_per_actor: float) -> Iterator[None]:
    """Connected to Ray inside the block. A cluster that was there before is used and left as it is."""
    if ray.is_initialized():
        _check_room(num_actors, gpus_per_actor)
        yield
        return
    with environment(_LOOPBACK), _one_machine():
        ray.init(
            address="local", num_cpus=num_actors, include_dashboard=False, log_to_driver=False,
            configure_logging=False, object_store_memory=_OBJECT_STORE_BYTES,
        )  # fmt: skip
    try:
        _check_room(num_actors, gpus_per_actor)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _one_machine() -> Iterator[None]:
    """Ray reads its switch for clusters of one machine when it is imported, which may have been long ago.

    With the switch on (the default on Linux) it listens on every interface, whatever address it is given.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _check_room(num_actors: int, gpus_per_actor: float) -> None:
    """Actors that can never be placed would wait for ever."""
    there = ray.cluster_resources()
    for name, wanted, field in (
        ("CPU", float(num_actors), "data.actors"),
        ("GPU", num_actors * gpus_per_actor, "data.gpus_per_actor"),
    ):
        if wanted > there.get(name, 0.0):
            raise InputError(
                field, wanted, f"{name} are asked for and the Ray cluster has {there.get(name, 0.0):g}",
                "use fewer actors or a larger cluster",
            )  # fmt: skip
