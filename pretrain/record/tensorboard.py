"""Files for TensorBoard below RUN/tensorboard, a folder for each part of the run.

train/                the record of each step
validation/DATASET/   loss and bit accuracy of a held-out dataset, in the same charts as those of training
samples/              pictures, and videos as animated pictures
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.extras import install
from videoar.cluster.ground.watching import WatchConfig
from videoar.pretrain.generate.writers import gif_writer
from videoar.pretrain.record.viewer import TRAIN, Picture, Viewer
from videoar.pretrain.run_folder import TENSORBOARD

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FLUSH_S = 10
"""Seconds after which a figure is in the files."""


def check_tensorboard(config: WatchConfig) -> None:
    """InputError, before training, if the recipe asks for TensorBoard and it is not installed."""
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        remedy = f"{install('tensorboard')}; or leave out log.tensorboard"
        raise InputError("log.tensorboard", True, "needs TensorBoard, which is not installed", remedy)


class TensorBoard(Viewer):
    """Writes the parts of a run as runs of TensorBoard.

    TensorBoard drops what an earlier process has written from the first new step of a part on (`purge_step`). That is
    why each part has files of its own: the videos of a checkpoint stay when its run is resumed from there.
    """

    def __init__(self, run: Path) -> None:
        self._folder, self._writers = run / TENSORBOARD, dict[str, "SummaryWriter"]()

    def add(self, step: int, row: Mapping[str, Any], part: str = TRAIN) -> None:
        writer = self._writer(part, step)
        for name, value in row.items():
            if isinstance(value, Picture):
                _add_picture(writer, name, value, step)
            elif isinstance(value, int | float) and name != "step":
                writer.add_scalar(name, float(value), step)

    def _writer(self, part: str, step: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if part not in self._writers:
            folder = str(self._folder / part)
            self._writers[part] = SummaryWriter(folder, purge_step=step, flush_secs=FLUSH_S)
        return self._writers[part]

    def committed(self, step: int) -> None:
        """Steps that a checkpoint holds are not trained again: their rows must survive a killed process."""
        for writer in self._writers.values():
            writer.flush()

    def go_back(self, step: int) -> None:
        self.close(None)

    def close(self, kind: type[BaseException] | None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _add_picture(writer: SummaryWriter, name: str, shown: Picture, step: int) -> None:
    """Add a file as it is: `add_image` and `add_video` would take pixels, and need moviepy for videos."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

    data, (height, width) = _encoded(shown.file)
    picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data)
    about = SummaryMetadata(summary_description=shown.caption)
    summary = Summary(value=[Summary.Value(tag=name, image=picture, metadata=about)])
    writer._get_file_writer().add_summary(summary, step)


def _encoded(file: Path) -> tuple[bytes, tuple[int, int]]:
    """A PNG as it is, a video as a GIF; height and width, as both kinds of files begin with them."""
    if file.suffix != ".mp4":
        data = file.read_bytes()
        return data, (int.from_bytes(data[20:24]), int.from_bytes(data[16:20]))
    with tempfile.TemporaryDirectory() as folder:
        data = _as_gif(file, Path(folder) / "x.gif").read_bytes()
    return data, (int.from_bytes(data[8:10], "little"), int.from_bytes(data[6:8], "little"))


def _as_gif(file: Path, out: Path) -> Path:
    with av.open(str(file)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None, "our own files have a frame rate"
        with gif_writer(out, float(rate)) as add:
            for frame in _frames(container):
                add(frame)
    return out


def _frames(container: Any) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    return (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
