"""TFDS builder of WeatherBench: one record a time step; clips are cut when reading."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.arrays.scaling import Statistics
from pdr_datasets.builder import VideoBuilder
from pdr_datasets.dataset import Scoring, Source
from pdr_datasets.records import Records
from pdr_datasets.series import Windows
from pdr_datasets.weatherbench import protocol as rules
from pdr_datasets.weatherbench.config import Config
from pdr_datasets.weatherbench.fields import Field, grid
from pdr_datasets.weatherbench.sources import EXPECTED_FILES, open_fields
from pdr_datasets.weatherbench.units import Restated, describe, z_score
from pdr_datasets.weatherbench.variables import VARIABLES, Variable

_READ_BYTES = 32 * 2**20  # at a time


class Builder(VideoBuilder):
    """Stores the frames of each part, and the training part's mean over time; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [  # noqa: RUF012
        Config(),
        *(
            Config(variable=variable, degrees=degrees, protocol="openstl")
            for degrees in (5.625, 1.40625)
            for variable in ("t2m", "r", "uv10", "tcc")
        ),
        Config(variable="mv", in_length=4, out_length=4, protocol="openstl"),
        Config(variable="mv", in_length=4, out_length=28, protocol="openstl"),
        Config(source="wb2"),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES
    TAKES_URL = True

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        latitudes, longitudes = grid(config.degrees)
        channels = sum(variable.channels for variable in VARIABLES[config.variable])
        shape = (len(latitudes), len(longitudes), channels)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"frames": tfds.features.Tensor(shape=shape, dtype=np.float32, encoding="bytes")}
            ),
            disable_shuffling=True,  # on disk in the order of their times
            metadata=tfds.core.MetadataDict(),
        )

    def sources(self) -> Mapping[str, Source]:
        """The clips of each part, as the protocol cuts and scales them."""
        config = self.builder_config
        units = {part: z_score(statistics) for part, statistics in self._statistics.items()}
        clips = {}
        for part in rules.PARTS:
            frames: Source = Records(self, part)
            if config.protocol == "openstl" and part != "train":
                frames = Restated(frames, own=units[part], train=units["train"])
            starts = rules.clip_starts(len(frames), config.offsets, config.protocol)
            clips[part] = Windows(frames, starts, config.offsets)
        return clips

    def scaling(self) -> dict[str, Any]:
        """z-scores by the training part; errors in the files' units, averaged over the map."""
        variables = VARIABLES[self.builder_config.variable]
        train = {name: np.array(values) for name, values in self._statistics["train"].items()}
        low, high = ((train[name] - train["mean"]) / train["std"] for name in ("low", "high"))
        return {
            "units": z_score(self._statistics["train"]),
            "data_range": (float(low.min()), float(high.max())),
            "scoring": Scoring(
                units="stored",
                spatial_norm=True,
                groups=tuple(v.key for v in variables) if variables[0].channels > 1 else (),
                latitudes=tuple(self.info.metadata["latitudes"]),
                climatology=Records(self, "climatology")[0]["frames"],
            ),
        }

    @property
    def _statistics(self) -> dict[str, dict[str, list[float]]]:
        return self.info.metadata["statistics"]

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        config = self.builder_config
        place = self.url or Path(dl_manager.manual_dir)
        parts = config.kept_times()
        for part, times in parts.items():
            if not len(rules.clip_starts(len(times), config.offsets, config.protocol)):
                raise ValueError(
                    f"weatherbench: the {part} part has {len(times)} time steps, too few for clips "
                    f"of {config.offsets[-1] + 1}. Shorten them, or change years={config.years!r}."
                )
        with open_fields(place, config.source, config.variable, config.degrees) as fields:
            for field in fields:
                for times in config.times().values():
                    field.check(times)
        self.info.metadata["latitudes"] = grid(config.degrees)[0].tolist()
        self.info.metadata["statistics"] = {}
        self.info.metadata["note"] = describe(config)
        climatology: list[np.ndarray] = []
        generators, done = {}, 0
        total = sum(map(len, parts.values()))
        for part, times in parts.items():
            generators[part] = self._generate_examples(place, part, times, climatology, done, total)
            done += len(times)
        # Splits are written one after another: the training part has been read by then.
        generators["climatology"] = ((0, {"frames": mean}) for mean in climatology)
        return generators

    def _generate_examples(
        self,
        place: str | Path,
        part: str,
        times: np.ndarray,
        climatology: list[np.ndarray],
        done: int,
        total: int,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        shape = self.info.features["frames"].shape
        statistics, sums = Statistics.empty(shape[-1]), np.zeros(shape)
        length = max(1, _READ_BYTES // (4 * int(np.prod(shape))))
        with open_fields(place, config.source, config.variable, config.degrees) as fields:
            for first in range(0, len(times), length):
                frames = _read(fields, times[first : first + length])
                statistics.update(frames)
                sums += frames.sum(0, dtype=np.float64)
                for index, frame in enumerate(frames, first):
                    yield index, {"frames": frame}
                    self.report(done + index + 1, total)
        std = np.sqrt(statistics.squares / statistics.count)
        if not (std > 0).all():
            raise ValueError(f"weatherbench: {config.variable} is constant in the {part} part.")
        _check_units(VARIABLES[config.variable], statistics.mean, part)
        self._statistics[part] = {
            "mean": statistics.mean.tolist(),
            "std": std.tolist(),
            "low": statistics.low.tolist(),
            "high": statistics.high.tolist(),
        }
        if part == "train":
            climatology.append((sums / len(times)).astype(np.float32))


def _check_units(variables: Sequence[Variable], means: np.ndarray, part: str) -> None:
    """Raises ValueError if a channel's mean is one of another unit, as degrees Celsius."""
    channels = [variable for variable in variables for _ in range(variable.channels)]
    for variable, mean in zip(channels, means, strict=True):
        if mean < variable.least_mean:
            raise ValueError(
                f"{variable.name}: the {part} part has the mean {mean:.4g}: expected values in "
                f"{variable.unit}, whose mean is at least {variable.least_mean:g}. Convert the "
                "files."
            )


def _read(fields: list[Field], times: np.ndarray) -> np.ndarray:
    """(n, H, W, C) float32 at these times; refuses values that are not finite."""
    blocks = []
    for field in fields:
        block = field.read(times)
        if (bad := np.argwhere(~np.isfinite(block))).size:
            raise ValueError(
                f"{field.name} holds NaN or infinite values, the first at {times[bad[0][0]]}, row "
                f"{bad[0][1]}, column {bad[0][2]} (rows from the south). Repair the file."
            )
        blocks.append(block)
    return np.concatenate(blocks, axis=-1)
