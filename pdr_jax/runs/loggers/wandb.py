"""Weights & Biases: curves, pictures and the recipe, in the project WANDB_PROJECT or "pdr-jax".

Its own settings are environment variables, such as WANDB_MODE=offline, which leaves the log in
RUN/wandb for `wandb sync`: a folder of each session, all of one run id, to be synced in order.
"""

import contextlib
import io
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from PIL import Image

from pdr_jax.runs.loggers import Picture

_SECONDS = 120.0
"""How long to wait at the end for an upload; what is left stays in RUN/wandb."""


class WeightsAndBiases:
    """A run there, continued under its id by every process that trains in a run folder."""

    def __init__(self, run: Path, settings: Mapping[str, Any], step: int) -> None:
        """Begins or continues the run; steps after `step` may be in it already, and come again."""
        del step
        try:
            with _told():
                self._begin(run, settings)
        except OSError as error:
            if isinstance(error.__cause__, wandb.errors.UsageError):
                raise ValueError(f"log=wandb: {error} (WANDB_MODE=offline needs no key)") from error
            raise
        self.place = str(run / "wandb") if self._run.offline else str(self._run.url)

    def _begin(self, run: Path, settings: Mapping[str, Any]) -> None:
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "pdr-jax",
            name=run.resolve().name,
            id=_id(run),
            resume="allow",
            reinit="create_new",  # a run of the caller stays the caller's
            dir=run,
            config=dict(settings),
            settings=wandb.Settings(
                console="off", silent=True, finish_timeout=_SECONDS, finish_timeout_raises=True
            ),
        )
        # Its own count of steps must grow, and a resumed run repeats steps.
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds a point to the curve of each figure."""
        self._log(step, figures)

    def pictures(self, step: int, pictures: Sequence[Picture]) -> None:
        """Adds pictures; GIFs are videos there."""
        with _told():
            media = {picture.name: _media(picture) for picture in pictures}
        self._log(step, media)

    def close(self, *, failed: bool) -> None:
        """Waits for the upload; the run there has finished or failed."""
        with _told():
            self._run.finish(exit_code=int(failed))

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        with _told():
            self._run.log({**values, "step": step})


def _id(run: Path) -> str:
    """The id of a run, which its folder keeps."""
    path = run / "wandb_id.txt"
    if not path.exists():
        path.write_text(secrets.token_hex(4))
    return path.read_text().strip()


def _media(picture: Picture) -> Any:
    file = io.BytesIO(picture.encoded)
    if picture.format == "gif":
        return wandb.Video(file, format="gif")
    return wandb.Image(Image.open(file))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turns the errors of wandb into OSError.

    Not all of them are documented, and those of the process that it writes to have no common base.
    """
    try:
        yield
    except Exception as error:
        raise OSError(str(error) or type(error).__name__) from error


open_logger = WeightsAndBiases
