"""Gaussians on a grid that reproduce a frame: where tracked Gaussians begin."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pallas_kernels.splat2d.normalized import SOFTNESS


class Grid(NamedTuple):
    """A grid of equal round Gaussians over a frame.

    Attributes:
      height, width: of the frame in pixels.
      spacing: pixels between Gaussians; less where it does not divide the frame.
      sigma: standard deviation, in units of `spacing`.
      window: odd K; each is drawn within K x K pixels.
    """

    height: int
    width: int
    spacing: int
    sigma: float
    window: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of Gaussians."""
        return math.ceil(self.height / self.spacing), math.ceil(self.width / self.spacing)

    @property
    def pixels(self) -> float:
        """The standard deviation in pixels."""
        return self.sigma * self.spacing

    @property
    def full(self) -> float:
        """The total of their values at a pixel, far from the border."""
        return 2 * math.pi * self.sigma**2

    def centres(self) -> Float[np.ndarray, "rows columns 2"]:
        """Where the Gaussians lie, x and y in pixels."""
        rows, columns = self.shape
        y, x = _centres(self.height, rows), _centres(self.width, columns)
        return np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)

    def amplitudes(
        self, frames: Float[Array, "M H W C"], *, normalised: bool
    ) -> Float[Array, "M rows columns C"]:
        """The amplitudes with which the grid, drawn, is the frame.

        A round Gaussian is a product of one along y and one along x, so the grid draws
        G_y A G_x^T with small matrices G, whose (pseudo-)inverses give A. It is exact for one
        Gaussian a pixel, and the least-squares fit for fewer.

        Args:
          frames: what is to be drawn.
          normalised: whether the drawing is divided by the total of the Gaussians' values.
        """
        rows, columns = self.shape
        along_y, along_x = self._values(self.height, rows), self._values(self.width, columns)
        if normalised:
            total = np.outer(along_y.sum(1), along_x.sum(1))[None, :, :, None]
            frames = frames * jnp.asarray(
                (total + SOFTNESS * self.full) / (1 + SOFTNESS), frames.dtype
            )
        inverses = (jnp.asarray(np.linalg.pinv(g), frames.dtype) for g in (along_y, along_x))
        return jnp.einsum("mhwc,rh,sw->mrsc", frames, *inverses, precision="highest")

    def _values(self, size: int, count: int) -> np.ndarray:
        """(size, count): what each Gaussian along an axis adds to each pixel."""
        offset = np.arange(size)[:, None] - _centres(size, count)[None]
        inside = np.abs(offset) <= self.window / 2
        return np.exp(-0.5 * (offset / self.pixels) ** 2) * inside


def _centres(size: int, count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) * (size / count) - 0.5
