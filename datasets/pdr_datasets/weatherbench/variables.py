"""The variables of the benchmark, and their names in the files."""

import dataclasses
import math
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Variable:
    """One variable in the files.

    Attributes:
      key: its name in WeatherBench 1's files.
      name: its name in WeatherBench 2's store, and of its sub-folder in WeatherBench 1.
      levels: in hPa, one channel each; "last" is the file's last level (1000 hPa); () for none.
      unit: of its values.
      least_mean: the mean over the Earth is greater in this unit, and smaller in others in use.
    """

    key: str
    name: str
    levels: tuple[int, ...] | Literal["last"] = ()
    unit: str = ""
    least_mean: float = -math.inf

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 1 if self.levels in ((), "last") else len(self.levels)


_LEVELS = (150, 500, 850)

VARIABLES: dict[str, tuple[Variable, ...]] = {
    "t2m": (Variable("t2m", "2m_temperature", unit="K", least_mean=200),),
    "r": (Variable("r", "relative_humidity", "last", "%", 2),),
    "uv10": (
        Variable("u10", "10m_u_component_of_wind"),
        Variable("v10", "10m_v_component_of_wind"),
    ),
    "tcc": (Variable("tcc", "total_cloud_cover"),),
    "mv": (
        Variable("r", "relative_humidity", _LEVELS, "%", 2),
        Variable("t", "temperature", _LEVELS, "K", 150),
        Variable("u", "u_component_of_wind", _LEVELS),
        Variable("v", "v_component_of_wind", _LEVELS),
    ),
}
