"""The base of the builders of city-wide flows: frames stored once, windows, the last days test."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.dataset import Scoring, Source
from pdr_datasets.deepst import Flow
from pdr_datasets.records import Records
from pdr_datasets.series import Windows, find_runs, window_starts
from pdr_datasets.units import Units


class FlowBuilder(VideoBuilder):
    """Stores each frame of a series of counts once, and serves every gapless window.

    As in DeepST, negative counts become 0, and min-max scaling is fitted on the training part.
    Errors are measured in counts and averaged over cells, as DeepST's papers report them.

    Attributes:
      MODEL_RANGE: the least and the greatest count of the training part, in model units.
    """

    MODEL_RANGE: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def series_splits(
        self, flows: Sequence[Flow], kept: np.ndarray, test_frames: int
    ) -> dict[str, Iterator[Any]]:
        """The generators of both splits, as `_split_generators` returns them.

        Args:
          flows: the files, in the order of time.
          kept: (T,) bool, which frames of all files to keep.
          test_frames: how many of the kept frames are for testing: the last ones.

        Raises:
          ValueError: a file begins before the one before it ends, or a part has no window.
        """
        for before, after in itertools.pairwise(flows):
            if before.times[-1] >= after.times[0]:
                raise ValueError(f"{after.path} begins before {before.path} ends.")
        config = self.builder_config
        length = config.length
        times = np.concatenate([flow.times for flow in flows])[kept]
        boundary = max(0, len(times) - test_frames)
        runs = {"train": find_runs(times[:boundary]), "test": find_runs(times[boundary:])}
        for part, found in runs.items():
            if not window_starts(found, length):
                raise ValueError(
                    f"{self.name} {config.name!r}: no {part} window of {length} frames. The files "
                    f"hold {len(times)} usable frames, of which the last {test_frames} are for "
                    "testing."
                )
        self.info.metadata["runs"] = runs
        self.info.metadata["left_out"] = int((~kept).sum())
        self.info.metadata["missing"] = sum(int(flow.missing.sum()) for flow in flows)
        return {
            "train": self._generate_examples(flows, kept, 0, boundary),
            "test": self._generate_examples(flows, kept, boundary, len(times)),
        }

    def _generate_examples(
        self, flows: Sequence[Flow], kept: np.ndarray, first: int, last: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """The kept frames first ... last - 1 as records; notes the training part's extremes."""
        low, high = np.inf, -np.inf
        for index, frame in enumerate(_kept_frames(flows, kept)):
            if index >= last:
                break
            if index < first:
                continue
            if not np.isnan(frame).all():  # of a missing slot
                low, high = min(low, float(frame.min())), max(high, float(frame.max()))
            yield index - first, {"frames": np.ascontiguousarray(np.moveaxis(frame, 0, -1))}
            self.report(index + 1, int(kept.sum()))
        if first == 0:
            if low == high:
                raise ValueError(
                    f"{self.name}: every count of the training part is {low}. Check the files."
                )
            if high <= 1:
                raise ValueError(
                    f"{self.name}: the largest count of the training part is {high}: the files "
                    "hold values that have been scaled. Expected counts."
                )
            self.info.metadata["minimum"], self.info.metadata["maximum"] = low, high

    def sources(self) -> Mapping[str, Source]:
        """Windows at every time step; none crosses a gap."""
        config = self.builder_config
        length = config.length
        return {
            name: Windows(Records(self, name), window_starts(runs, length), range(length))
            for name, runs in self.info.metadata["runs"].items()
        }

    def overlap(self) -> int:
        """A window begins at every time step."""
        return self.builder_config.length - 1

    def scaling(self) -> dict[str, Any]:
        """Min-max to MODEL_RANGE; errors in counts a cell."""
        minimum, maximum = self.info.metadata["minimum"], self.info.metadata["maximum"]
        low, high = self.MODEL_RANGE
        scale = (maximum - minimum) / (high - low)
        missing = self.info.metadata.get("missing", 0)  # builds of version 0.2 have none
        return {
            "units": Units(offset=minimum - low * scale, scale=scale),
            "data_range": self.MODEL_RANGE,
            "fill": low if missing else None,
            "scoring": Scoring(units="stored", spatial_norm=True),
        }


def with_missing(flow: Flow, slots: int) -> Flow:
    """The flow with frames of NaN in the missing slots of its days."""
    days = np.unique(flow.times // slots)
    times = (days[:, None] * slots + np.arange(slots)).ravel()
    missing = ~np.isin(times, flow.times)

    def blocks() -> Iterator[np.ndarray]:
        position = 0
        for block in flow.blocks():
            # Each block ends with its last frame, the last one at midnight.
            places = np.flatnonzero(~missing[position:])[: len(block)]
            last = position + int(places[-1]) + 1
            if missing[last:].all():
                last = len(times)
            filled = np.full((last - position, *block.shape[1:]), np.nan, np.float32)
            filled[places] = block
            yield filled
            position = last

    return dataclasses.replace(flow, times=times, missing=missing, blocks=blocks)


def whole_days(times: np.ndarray, slots: int) -> np.ndarray:
    """(T,) bool: which of the time slots belong to days without missing slots."""
    _, day, count = np.unique(times // slots, return_inverse=True, return_counts=True)
    return count[day] == slots


def _kept_frames(flows: Sequence[Flow], kept: np.ndarray) -> Iterator[np.ndarray]:
    """The kept frames, (2, H, W) float32, finite and not negative."""
    position = 0
    for flow in flows:
        done = 0
        for block in flow.blocks():
            frames = block.astype(np.float32)
            bad = ~np.isfinite(frames)
            bad &= ~flow.missing[done : done + len(frames), None, None, None]
            if bad := np.argwhere(bad)[:1].tolist():
                where = (bad[0][0] + done, *bad[0][1:])
                raise ValueError(f"{flow.path} holds NaN or infinity, the first at {where}.")
            done += len(frames)
            for frame, keep in zip(frames, kept[position : position + len(frames)], strict=True):
                if keep:
                    yield np.maximum(frame, 0)
            position += len(frames)
