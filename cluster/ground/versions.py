"""Versions of installed packages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version(distribution: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
