"""Model units: how stored values become what a model works with, and back."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Units:
    """Model units = (stored - offset) / scale; the default maps uint8 to [0, 1].

    Hashable, so a jitted function can close over it or take it as a static argument.

    Attributes:
      offset: in stored units: one number for all channels, or one for each.
      scale: likewise, greater than 0.
      missing: the stored whole number that stands for a missing value, which becomes NaN; or None.
        Floating-point frames hold NaN themselves.
    """

    offset: float | tuple[float, ...] = 0.0
    scale: float | tuple[float, ...] = 255.0
    missing: int | None = None

    def normalise(self, frames: Any) -> Any:
        """Stored units (..., C), any dtype -> model units, float32; NumPy or JAX, traced too."""
        offset, scale = self._constants(frames.ndim)
        values = (frames.astype(np.float32) - offset) / scale
        if self.missing is None:
            return values
        where = frames.__array_namespace__().where
        return where(frames == self.missing, np.float32(np.nan), values)

    def denormalise(self, frames: Any) -> Any:
        """The inverse of `normalise`: model units (..., C) -> stored units, float32."""
        offset, scale = self._constants(frames.ndim)
        return frames.astype(np.float32) * scale + offset

    def _constants(self, ndim: int) -> tuple[np.ndarray, np.ndarray]:
        # Same rank as the frames: JAX may be set to refuse implicit rank promotion.
        shape = (1,) * (ndim - 1) + (-1,)
        return (
            np.asarray(self.offset, np.float32).reshape(shape),
            np.asarray(self.scale, np.float32).reshape(shape),
        )
