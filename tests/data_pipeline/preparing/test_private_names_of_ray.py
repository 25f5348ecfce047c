"""The names inside Ray that a cluster on loopback needs: an upgrade that renames them fails here first."""

from __future__ import annotations

import inspect

import pytest

pytestmark = pytest.mark.slow


def test_the_switch_for_one_machine_is_read_when_a_node_is_named() -> None:
    """Without it Ray listens on every interface, regardless of the address it is given."""
    from ray._private import ray_constants, services

    from videoar.data_pipeline.preparing.ray_cluster import _one_machine

    assert isinstance(ray_constants.ENABLE_RAY_CLUSTER, bool)
    assert "ENABLE_RAY_CLUSTER" in inspect.getsource(services)
    before = ray_constants.ENABLE_RAY_CLUSTER
    with _one_machine():
        assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert ray_constants.ENABLE_RAY_CLUSTER == before


def test_the_token_is_read_again_on_request() -> None:
    """Ray remembers the token that it read at import: a cluster of our own would start without one."""
    from ray._raylet import AuthenticationTokenLoader, Config

    assert callable(Config.initialize)
    assert callable(AuthenticationTokenLoader.instance().reset_cache)


def test_an_error_in_an_actor_keeps_its_cause() -> None:
    """By these classes the pool distinguishes a failing store from a bug, and a death from an exception."""
    import ray

    from videoar.data_pipeline.preparing import pool

    assert issubclass(ray.exceptions.RayTaskError, ray.exceptions.RayError)
    assert "cause" in inspect.signature(ray.exceptions.RayTaskError.__init__).parameters
    assert all(issubclass(death, ray.exceptions.RayError) for death in pool._DEATHS)
    assert "concurrency_group" in inspect.getsource(ray.method)
