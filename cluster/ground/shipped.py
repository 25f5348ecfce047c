"""Weights that ship with the package and are opened by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Shipped:
    """Folders of weights in a folder of the package."""

    root: Path
    config: str
    """Name of the file that each folder of weights has."""

    def find(self, name: str | Path) -> Path:
        """A folder of weights: the path, if it is one, or that of weights that ship with this name."""
        shipped = self.folder(name)
        return shipped if not self._holds(Path(name)) and self._holds(shipped) else Path(name)

    def folder(self, name: str | Path) -> Path:
        """Where weights of this name are in the package, if they ship, whatever the current folder holds."""
        return self.root / name

    def names(self) -> tuple[str, ...]:
        """Names of the weights that ship."""
        return tuple(sorted(path.parent.name for path in self.root.glob(f"*/{self.config}")))

    def _holds(self, folder: Path) -> bool:
        return (folder / self.config).is_file()
