"""Run Python code in a process in which some packages cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection

_HIDE = """
import sys
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {packages} else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


def hiding(packages: Collection[str]) -> str:
    """Lines of Python after which these packages are not found, as if they were not installed."""
    return _HIDE.format(packages=sorted(packages))


def run_without(packages: Collection[str], code: str, *arguments: object) -> str:
    """What the code prints; the test fails with its error if it needs one of the packages."""
    program = hiding(packages) + code
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
