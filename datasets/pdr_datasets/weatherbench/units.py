"""OpenSTL's units: each part z-scored by its own statistics, written in the training part's."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np

from pdr_datasets.dataset import Source


@dataclasses.dataclass(frozen=True)
class Standardised:
    """Mean and standard deviation, (C,), of a part."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, statistics: Mapping[str, Sequence[float]]) -> "Standardised":
        """From a part's stored statistics."""
        return cls(np.array(statistics["mean"]), np.array(statistics["std"]))

    def expressed_in(self, train: "Standardised", frames: Source) -> Source:
        """The frames x of this part as (x - mean) / std * train.std + train.mean.

        The training part's mean and standard deviation then make of them what OpenSTL feeds to a
        model, and back into what it computes errors of.
        """
        return _Rescaled(frames, self.mean, train.std / self.std, train.mean)


class _Rescaled:
    """Frames x as (x - before) * gain + after."""

    def __init__(self, frames: Source, before: np.ndarray, gain: np.ndarray, after: np.ndarray):
        self._frames = frames
        self._units = tuple(values.astype(np.float32) for values in (before, gain, after))

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        before, gain, after = self._units
        return {"frames": (self._frames[index]["frames"] - before) * gain + after}


def describe(config: Any) -> str:
    """What a reader of a result must know about a configuration."""
    notes = []
    if config.protocol == "openstl":
        notes.append(
            "OpenSTL's protocol: validation and test frames are z-scored by their own mean and "
            "standard deviation, and errors scaled back by those of the training part."
        )
        if config.variable == "mv":
            notes.append("Frames are not evenly spaced (OpenSTL's indices): mostly 36 h apart.")
    elif config.source == "wb1":
        notes.append("Not OpenSTL's protocol: all parts are scaled by the training part.")
    if config.years != config.usual_years:
        notes.append(f"Years {config.years}; the benchmark's are {config.usual_years}.")
    return " ".join(notes)
