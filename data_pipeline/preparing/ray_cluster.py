"""A Ray cluster to work on: one that runs already, or one on this machine, on loopback only and behind a token."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import environment, variable

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
def ray_cluster(num_actors: int, gpus_per_actor: float, address: str = "") -> Iterator[None]:
    """Connected to Ray inside the block: to the cluster at an address, or that of the Ray Job this process is, or one
    of its own. A cluster that was there before is used and left as it is."""
    address = address or variable("RAY_ADDRESS") or ""
    if ray.is_initialized():
        _check_room(num_actors, gpus_per_actor)
        yield
    elif address:
        with _joined(address):
            _check_room(num_actors, gpus_per_actor)
            yield
    else:
        with _own(num_actors):
            _check_room(num_actors, gpus_per_actor)
            yield


@contextmanager
def _joined(address: str) -> Iterator[None]:
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError, ray.exceptions.RayError) as error:
        raise InputError(
            "address",
            address,
            f"cannot be joined ({str(error).strip().splitlines()[0]})",
            "give HOST:PORT of a running Ray head, and its token by RAY_AUTH_TOKEN_PATH",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own(num_actors: int) -> Iterator[None]:
    """A cluster on loopback for this process alone: its token is drawn here, lives in the environment of its
    processes, and is never written."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        with environment(_LOOPBACK | token), _one_machine():
            _read_environment()
            ray.init(
                address="local",
                num_cpus=num_actors,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
                object_store_memory=_OBJECT_STORE_BYTES,
            )
            try:
                yield
            finally:
                ray.shutdown()
    finally:
        _read_environment()


def _read_environment() -> None:
    """Ray reads mode and token when it is imported, and remembers them."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


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
                field,
                wanted,
                f"{name} are asked for and the Ray cluster has {there.get(name, 0.0):g}",
                "use fewer actors or a larger cluster",
            )
