"""The Ray cluster to work on: one that runs already, or a new one on this machine, on loopback only and with a
token."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.library_log import leave_to_the_program
from videoar.cluster.ground.process import environment, variable
from videoar.cluster.ground.processes.preemption import signals_held
from videoar.cluster.ground.processes.surroundings import LEAST_FILES, check_loopback, check_open_files

leave_to_the_program("ray")

_OBJECT_STORE_BYTES = 80 << 20
"""About the smallest size that Ray accepts: no payload goes through the object store."""

_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Environment of Ray's processes: one machine only, so every port is bound to 127.0.0.1; no usage reports; and
CUDA_VISIBLE_DEVICES stays as it is in workers without a GPU."""


@contextmanager
def ray_cluster(num_actors: int, gpus_per_actor: float, address: str = "") -> Iterator[None]:
    """Connect to Ray inside the block: to the cluster at `address`, to the cluster of the Ray Job that this process
    runs in, or to a new one. An existing cluster is left running."""
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
        with signals_held():
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
        _leave()


@contextmanager
def _own(num_actors: int) -> Iterator[None]:
    """A cluster on loopback for this process alone. Its random token is only in the environment of its processes, and
    is never written to a file."""
    check_loopback()
    check_open_files(LEAST_FILES)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        with environment(_LOOPBACK | token), _one_machine():
            _read_environment()
            try:
                with signals_held(), _no_handlers():
                    ray.init(
                        address="local",
                        num_cpus=num_actors,
                        include_dashboard=False,
                        log_to_driver=False,
                        configure_logging=False,
                        object_store_memory=_OBJECT_STORE_BYTES,
                    )
                yield
            finally:
                _leave()
    finally:
        _read_environment()


def _leave() -> None:
    with signals_held():
        ray.shutdown()


@contextmanager
def _no_handlers() -> Iterator[None]:
    """Keep Ray from handling SIGTERM: it would end this process, even long after Ray is shut down."""
    before = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = before


def _read_environment() -> None:
    """Make Ray read mode and token again: it caches them at import."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _one_machine() -> Iterator[None]:
    """Switch off clusters of several machines, a setting that Ray reads from the environment only when it is imported.

    With the setting on (the default on Linux) Ray listens on every interface, regardless of the address it is given.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _check_room(num_actors: int, gpus_per_actor: float) -> None:
    """InputError if the cluster cannot hold all actors: they would wait forever."""
    resources = ray.cluster_resources()
    for name, wanted, field in (
        ("CPU", float(num_actors), "data.actors"),
        ("GPU", num_actors * gpus_per_actor, "data.gpus_per_actor"),
    ):
        if wanted > resources.get(name, 0.0):
            raise InputError(
                field,
                wanted,
                f"{name} are needed, and the Ray cluster has {resources.get(name, 0.0):g}",
                "use fewer actors or a larger cluster",
            )
