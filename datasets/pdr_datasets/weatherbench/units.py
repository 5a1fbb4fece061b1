"""Units of the parts; OpenSTL z-scores each part by its own statistics."""

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

from pdr_datasets.dataset import Source
from pdr_datasets.units import Units


def z_score(statistics: Mapping[str, Sequence[float]]) -> Units:
    """The units in which a part with these statistics has mean 0 and standard deviation 1."""
    mean, std = statistics["mean"], statistics["std"]
    return Units(mean[0], std[0]) if len(mean) == 1 else Units(tuple(mean), tuple(std))


class Restated:
    """Source of the frames `train.denormalise(own.normalise(x))`, float32, for the frames x.

    `train.normalise` turns these into what OpenSTL feeds to a model: x z-scored by its own part.
    `train.denormalise` leads to the units in which OpenSTL measures errors.
    """

    def __init__(self, frames: Source, own: Units, train: Units):
        self._frames, self._own, self._train = frames, own, train

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        scores = self._own.normalise(self._frames[index]["frames"])
        return {"frames": self._train.denormalise(scores)}


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
