"""The variants of the data set, and the time steps of each."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pdr_datasets.config import VideoConfig
from pdr_datasets.weatherbench import protocol as rules
from pdr_datasets.weatherbench.sources import HOURS, SOURCES
from pdr_datasets.weatherbench.variables import VARIABLES

DEGREES = (5.625, 2.8125, 1.40625)


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(VideoConfig):
    """One variant, named by its options.

    Attributes:
      source: "wb1": WeatherBench 1's hourly NetCDF files; "wb2": WeatherBench 2's 6-hourly Zarr
        store.
      variable: a key of VARIABLES.
      degrees: of the grid: 5.625 is 32 x 64.
      in_length: frames given.
      out_length: frames to predict.
      step: hours between frames; 0 stands for the benchmark's: 1, but 6 for "mv" and "wb2".
      protocol: "standard", or "openstl"; see README.md.
      years: of training, validation and test; "" stands for the benchmark's.
    """

    DATA: ClassVar = "weatherbench"
    PATTERN: ClassVar = re.compile(
        r"(?P<source>[a-z0-9]+)_(?P<variable>[a-z0-9]+)_(?P<degrees>\d+\.\d+)deg"
        r"_(?P<in_length>\d+)to(?P<out_length>\d+)_(?P<step>\d+)h_(?P<protocol>[a-z]+)"
        r"(?:_(?P<years>\d{4}\S*))?"
    )
    EXAMPLE: ClassVar = {"years": "2010-2012,2013,2014"}
    source: str = "wb1"
    variable: str = "t2m"
    degrees: float = 5.625
    in_length: int = 12
    out_length: int = 12
    step: int = 0
    protocol: str = "standard"
    years: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, valid in (
            ("source", SOURCES),
            ("variable", tuple(VARIABLES)),
            ("degrees", DEGREES if self.source == "wb1" else DEGREES[:1]),
            ("protocol", rules.PROTOCOLS if self.source == "wb1" else rules.PROTOCOLS[:1]),
        ):
            value = getattr(self, field)
            if value not in valid:
                given = f" with source={self.source!r}" if self.source in SOURCES[1:] else ""
                raise ValueError(
                    f"weatherbench: {field}={value!r}:{given} expected one of "
                    f"{', '.join(map(str, valid))}."
                )
        hours = HOURS[self.source]
        self.step = self.step or (6 if self.variable == "mv" else hours)
        if not isinstance(self.step, int) or self.step < 0 or self.step % hours:
            raise ValueError(
                f"weatherbench: step={self.step!r}: expected a multiple of {hours} hours."
            )
        usual = self.usual_years
        self.years = self.years or usual
        rules.parse_years(self.years)
        self.name = (
            f"{self.source}_{self.variable}_{float(self.degrees)}deg_{self.in_length}to"
            f"{self.out_length}_{self.step}h_{self.protocol}"
        )
        if self.years != usual:
            self.name += "_" + self.years.replace(",", "_")

    @classmethod
    def read(cls, groups: Mapping[str, Any]) -> dict[str, Any]:
        """See `VideoConfig`."""
        numbers = {option: int(groups[option]) for option in ("in_length", "out_length", "step")}
        years = (groups["years"] or "").replace("_", ",")
        return {**groups, **numbers, "degrees": float(groups["degrees"]), "years": years}

    @property
    def usual_years(self) -> str:
        """The benchmark's years."""
        if self.source == "wb2":
            return "1979-2018,2019,2020"
        return f"{1979 if self.variable == 'mv' else 2010}-2015,2016,2017-2018"

    @property
    def offsets(self) -> np.ndarray:
        """Of a clip's frames from its first, in time steps."""
        gaps = self.protocol == "openstl" and self.variable == "mv"
        return rules.clip_offsets(self.in_length, self.out_length, gaps=gaps)

    def times(self) -> dict[str, np.ndarray]:
        """All time steps in the files, by part."""
        hours = HOURS[self.source]
        years = rules.parse_years(self.years)
        return {part: rules.calendar(*both, hours) for part, both in years.items()}

    def kept_times(self) -> dict[str, np.ndarray]:
        """The time steps that are stored, by part."""
        every = self.step // HOURS[self.source]
        return {
            part: rules.kept_times(times, every, self.protocol)
            for part, times in self.times().items()
        }
