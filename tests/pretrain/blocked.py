"""Run Python code in a process in which some packages cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

_REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ImportError(name + " is blocked in this test")
sys.meta_path.insert(0, Refuse())
"""


def run_without(packages: Sequence[str], code: str, *arguments: object) -> str:
    """What the code prints; the test fails with its error if it needs one of the packages."""
    program = _REFUSE.format(packages=set(packages)) + code
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
