"""Events for TensorBoard in RUN/tensorboard: curves, pictures and a line of hyperparameters."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams, scalar

from pdr_jax.runs.loggers import Picture
from pdr_jax.runs.settings import flat


class TensorBoard:
    """Events, written at once.

    SummaryWriter has a thread for it, and waits for ever when a full disk has ended that thread.
    """

    def __init__(self, run: Path, settings: Mapping[str, Any], step: int) -> None:
        """Begins a file of events, which take the place of those after `step` in older files."""
        folder = run / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        self.place = str(folder)
        own = f".{os.getpid()}.{time.monotonic_ns()}"  # names of files differ in whole seconds only
        self._writer = EventsWriter(str(folder / "events"), own)
        values = {
            name: value if isinstance(value, str | int | float) else str(value)
            for name, value in flat(settings).items()
        }
        # The first part would name the figures for the table of hyperparameters: without it
        # TensorBoard takes all curves of the run.
        _, begun, self._ended = hparams(values, {})
        self._write(step + 1, session_log=SessionLog(status=SessionLog.START))
        self._write(0, summary=begun)
        self._writer.flush()

    def scalars(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds a point to the curve of each figure."""
        for name, value in figures.items():
            self._write(step, summary=scalar(name, value))
        self._writer.flush()

    def pictures(self, step: int, pictures: Sequence[Picture]) -> None:
        """Adds pictures, GIFs too: TensorBoard leaves both to the browser."""
        for picture in pictures:
            image = Summary.Image(
                height=picture.height,
                width=picture.width,
                colorspace=3,
                encoded_image_string=picture.encoded,
            )
            value = Summary.Value(tag=picture.name, image=image)
            self._write(step, summary=Summary(value=[value]))
        self._writer.flush()

    def close(self, *, failed: bool) -> None:
        """Closes the file, which says that the run succeeded unless it has failed."""
        if not failed:
            self._write(0, summary=self._ended)
        self._writer.close()

    def _write(self, step: int, **content: Any) -> None:
        self._writer.write_event(Event(step=step, wall_time=time.time(), **content))


open_logger = TensorBoard
