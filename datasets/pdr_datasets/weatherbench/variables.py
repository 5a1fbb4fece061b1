"""What the variables of the benchmark consist of, by the names that the files use."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Variable:
    """One variable in the files.

    Attributes:
      key: its name in WeatherBench 1's files, where it lies in the sub-folder `name`.
      name: its name in WeatherBench 2's store.
      levels: in hPa, a channel each; "last" is the file's last (1000 hPa); () if it has none.
    """

    key: str
    name: str
    levels: tuple[int, ...] | Literal["last"] = ()

    @property
    def channels(self) -> int:
        """Number of them."""
        return 1 if self.levels in ((), "last") else len(self.levels)


_LEVELS = (150, 500, 850)

VARIABLES: dict[str, tuple[Variable, ...]] = {
    "t2m": (Variable("t2m", "2m_temperature"),),
    "r": (Variable("r", "relative_humidity", "last"),),
    "uv10": (
        Variable("u10", "10m_u_component_of_wind"),
        Variable("v10", "10m_v_component_of_wind"),
    ),
    "tcc": (Variable("tcc", "total_cloud_cover"),),
    "mv": (
        Variable("r", "relative_humidity", _LEVELS),
        Variable("t", "temperature", _LEVELS),
        Variable("u", "u_component_of_wind", _LEVELS),
        Variable("v", "v_component_of_wind", _LEVELS),
    ),
}
