"""TFDS builder of weather radar maps: one record a map; clips are cut when reading."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.dataset import Scoring
from pdr_datasets.originals import name_some
from pdr_datasets.radar.config import Config
from pdr_datasets.radar.events import PARTS, Event, find_events, split_events
from pdr_datasets.radar.find import EXPECTED_FILES, Place, find_maps
from pdr_datasets.radar.rain import average
from pdr_datasets.recordings import FrameBuilder
from pdr_datasets.units import Units

__all__ = ["Builder", "Config"]

EVENTS = (1.0, 2.0, 5.0)
"""Rain rates in mm/h from which on a pixel is an event in the metrics."""


class Builder(FrameBuilder):
    """Stores every map once; see README.md.

    The metadata hold `events`, a dict an event, in the order of time: its name, part, first map and
    number of maps; `step` in minutes, `size` of the maps as they were read, `maximum` of the
    training part and `missing`, the share of missing pixels.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    RECORDING = "event"
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES

    def parts(self) -> Sequence[str]:
        """Parts without an event are left out."""
        there = {event["part"] for event in self.info.metadata["events"]}
        return [part for part in PARTS if part in there]

    def runs(self, part: str) -> Sequence[Sequence[int]]:
        """The part's events."""
        events = self.info.metadata["events"]
        return [(e["first"], e["frames"]) for e in events if e["part"] == part]

    def records(self, part: str) -> str:
        """All maps are stored in the order of time."""
        return "maps"

    def stride(self, part: str) -> int:
        """Clips for validation and testing share no map."""
        return self.builder_config.stride if part == "train" else self.builder_config.length

    def scaling(self) -> dict[str, Any]:
        """No rain is 0 and the training part's maximum 1; errors in stored units, over the map."""
        scale, found = self.builder_config.scale, self.info.metadata
        thresholds = tuple(scale.stored(np.array(EVENTS)).tolist())
        return {
            "units": Units(offset=scale.floor, scale=found["maximum"] - scale.floor),
            "scoring": Scoring(units="stored", spatial_norm=True, thresholds=thresholds),
            "fill": 0.0 if found["missing"] else None,
        }

    def remarks(self) -> dict[str, Any]:
        """What was read, and which events hold no clip."""
        config, found = self.builder_config, self.info.metadata
        events, length = found["events"], config.length
        unit = {"dbz": "dBZ", "rate": "mm/h", "db": "dB of mm/h"}[config.values]
        counts = ", ".join(
            f"{part} {len(self.runs(part))} with {len(self.starts(part))}" for part in self.parts()
        )
        short = [f"{e['name']} ({e['frames']})" for e in events if e["frames"] < length]
        note = f"Missing pixels: {found['missing']:.1%}." if found["missing"] else ""
        if short:
            note += f" Events of fewer than {length} maps, which are not used: {name_some(short)}."
        return {
            "reading": f"read as {len(events)} events of {sum(e['frames'] for e in events)} maps "
            f"every {found['step']:g} minutes, {' x '.join(map(str, found['size']))} pixels, "
            f"stored as {config.height} x {config.width} in {unit}; clips of {length}: {counts}",
            "note": note.strip(),
            "clip_name": self._clip_name,
        }

    def _clip_name(self, clip: int) -> str:
        """As "2016-09-28T14:45 + 12 maps"."""
        events = self.info.metadata["events"]
        event = max((e for e in events if e["first"] <= clip), key=lambda e: e["first"])
        return f"{event['name']} + {clip - event['first']} maps"

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        shape = (config.height, config.width, 1)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"frames": tfds.features.Tensor(shape=shape, dtype=np.float32, encoding="bytes")}
            ),
            disable_shuffling=True,  # the maps of an event are neighbours on disk
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        config = self.builder_config
        places = find_maps(Path(dl_manager.manual_dir))
        events, step = find_events(np.array([place.time for place in places]), config.step)
        parts = split_events(
            events,
            config.split,
            test_fraction=config.test_fraction,
            val_fraction=config.val_fraction,
            seed=config.seed,
        )
        self.info.metadata["step"] = step
        self.info.metadata["events"] = [
            {**event._asdict(), "part": part} for event, part in zip(events, parts, strict=True)
        ]
        trains = [event for event, part in zip(events, parts, strict=True) if part == "train"]
        return {"maps": self._generate_examples(places, trains)}

    def _generate_examples(
        self, places: Sequence[Place], trains: Sequence[Event]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """All maps; what the training part's maximum is, is known after the last one."""
        config, scale = self.builder_config, self.builder_config.scale
        training = {i for event in trains for i in range(event.first, event.first + event.frames)}
        maximum, missing, size = scale.floor, 0, None
        for index, place in enumerate(places):
            values, unit = place.file.read(place.number)
            size = size or values.shape
            if values.shape != size:
                raise ValueError(
                    f"{place.file.path} has {' x '.join(map(str, values.shape))} pixels, "
                    f"{places[0].file.path} {' x '.join(map(str, size))}: expected one area."
                )
            rate = scale.rate(values) if unit == "dbz" else values
            if (rate < 0).any() or np.isinf(rate).any():
                bad = values[(rate < 0) | np.isinf(rate)][0]
                raise ValueError(f"{place.file.path} holds {bad:g}: expected rain, 0 or more.")
            rate = average(_cropped(rate, config.box, place.file.path), config.height, config.width)
            stored = scale.stored(rate)
            missing += int(np.isnan(stored).sum())
            if index in training and not np.isnan(stored).all():
                maximum = max(maximum, float(np.nanmax(stored)))
            yield index, {"frames": stored[..., np.newaxis]}
            self.report(index + 1, len(places))
        if maximum == scale.floor:
            raise ValueError(
                f"threshold={config.threshold}: no rain of the training part reaches it. Lower it, "
                "or split otherwise."
            )
        self.info.metadata["size"] = list(size or ())
        self.info.metadata["maximum"] = maximum
        self.info.metadata["missing"] = missing / (len(places) * config.height * config.width)


def _cropped(rate: np.ndarray, box: tuple[int, int, int, int] | None, path: Path) -> np.ndarray:
    if box is None:
        return rate
    top, left, height, width = box
    if top + height > rate.shape[0] or left + width > rate.shape[1]:
        size = " x ".join(map(str, rate.shape))
        raise ValueError(f"crop={'-'.join(map(str, box))!r}: {path} has {size} pixels.")
    return rate[top : top + height, left : left + width]
