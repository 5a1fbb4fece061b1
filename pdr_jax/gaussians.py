"""Gaussians2D: a frame as N coloured 2D Gaussians, and the one place that knows their units.

A Gaussian has 5 + C parameters (paper, PredGS): position (2), scale (2), rotation (1) and
amplitude (C). They are kept in normalised units, so that the same Gaussians can be drawn at any
resolution:

* mean    in [-1, 1] on each axis, x to the right and y down; -1 and +1 are the outer EDGES of the
          frame, so pixel i of an axis with n pixels has its centre at 2 (i + 1/2) / n - 1.
* scale   s in (0, 1) is a standard deviation of s (K - 1) / 10 pixels along the Gaussian's own axis
          on a frame of the training resolution, K being the window in which it is drawn there.
* rotation in radians; R = [[cos, -sin], [sin, cos]] turns the own axes into (x, y).

`pallas_kernels.splat2d` takes pixels instead; `Gaussians2D.pixels` is the map between the two.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from pallas_kernels import splat2d
from pallas_kernels.splat2d.grid_sample import paper_to_pixels
from pdr_jax.files import replacing

_ARRAYS = ("mean", "scale", "rotation", "amplitude")
_STATIC = ("height", "width", "window")


class Gaussians2D(struct.PyTreeNode):
    """N Gaussians for each frame of a batch; a pytree whose leaves are the four arrays.

    Attributes:
      mean: (..., N, 2) normalised x, y.
      scale: (..., N, 2) standard deviations along the own axes, in units of (window - 1) / 10
        pixels at the training resolution.
      rotation: (..., N) radians.
      amplitude: (..., N, C) in the units of the frame; any C, any sign.
      height, width: the training resolution in pixels.
      window: odd K; the Gaussians are drawn within K x K pixels at the training resolution.
    """

    mean: jax.Array
    scale: jax.Array
    rotation: jax.Array
    amplitude: jax.Array
    height: int = struct.field(pytree_node=False)
    width: int = struct.field(pytree_node=False)
    window: int = struct.field(pytree_node=False)

    def pixels(
        self, height: int | None = None, width: int | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Mean, scale, rotation and amplitude in pixels of a (height, width) frame.

        Where the aspect ratio differs from the training resolution's, the covariance is stretched
        with the frame, which changes scale and rotation together.
        """
        height, width = height or self.height, width or self.width
        size = jnp.asarray([width, height], self.mean.dtype).reshape(
            (1,) * (self.mean.ndim - 1) + (2,)
        )
        mean = (self.mean + 1) / 2 * size - 0.5
        scale = self.scale * ((self.window - 1) / 10)
        rotation = self.rotation
        if height * self.width == width * self.height:
            scale = scale * (height / self.height)
        else:
            scale, rotation = _stretch(scale, rotation, width / self.width, height / self.height)
        return mean, scale, rotation, self.amplitude

    def render(
        self, height: int | None = None, width: int | None = None, **options: Any
    ) -> jax.Array:
        """Draws the frames: (..., height, width, C), at the training resolution by default.

        Args:
          height: rows of the frame in pixels.
          width: columns of the frame in pixels.
          **options: passed to `pallas_kernels.splat2d` (sampling, implementation).
        """
        height, width = height or self.height, width or self.width
        zoom = max(height / self.height, width / self.width)
        window = 2 * int(np.ceil(zoom * (self.window - 1) / 2)) + 1
        return splat2d(
            *self.pixels(height, width), height=height, width=width, window=window, **options
        )

    @classmethod
    def from_pixels(
        cls,
        mean: jax.Array,
        scale: jax.Array,
        rotation: jax.Array,
        amplitude: jax.Array,
        *,
        height: int,
        width: int,
        window: int,
    ) -> "Gaussians2D":
        """The inverse of `pixels` at the training resolution."""
        if window < 3 or window % 2 == 0:
            raise ValueError(f"window={window}: expected an odd number of pixels, 3 or more")
        size = jnp.asarray([width, height], mean.dtype).reshape((1,) * (mean.ndim - 1) + (2,))
        return cls(
            mean=(mean + 0.5) / size * 2 - 1,
            scale=scale / ((window - 1) / 10),
            rotation=rotation,
            amplitude=amplitude,
            height=height,
            width=width,
            window=window,
        )

    @classmethod
    def from_paper(
        cls,
        mean: jax.Array,
        scale: jax.Array,
        rotation: jax.Array,
        amplitude: jax.Array,
        *,
        height: int,
        width: int,
        window: int,
    ) -> "Gaussians2D":
        """Gaussians in the convention of the published renderer (GaussianSR's grid_sample).

        There a positive mean moves to the left and up, +-1 are centres of the border pixels, an
        even number of columns shifts the centre by half a pixel, and at rotation 0 the first scale
        is the vertical one. Drawn with sampling="bilinear" the result is that renderer's frame.
        """
        mean, scale, rotation = paper_to_pixels(
            mean, scale, rotation, window=window, height=height, width=width
        )
        return cls.from_pixels(
            mean, scale, rotation, amplitude, height=height, width=width, window=window
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the Gaussians to `path` (.npz), whole or not at all."""
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"path={str(path)!r}: expected a name that ends in .npz")
        arrays: dict[str, Any] = {n: np.asarray(getattr(self, n)) for n in _ARRAYS + _STATIC}
        with replacing(path) as partial:
            np.savez(partial, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Gaussians2D":
        """Reads what `save` wrote; raises ValueError naming arrays that are missing."""
        content = np.load(path)
        if isinstance(content, np.ndarray):
            raise ValueError(f"{path} is one array; expected the .npz that Gaussians2D.save wrote")
        with content as file:
            missing = [name for name in _ARRAYS + _STATIC if name not in file]
            if missing:
                raise ValueError(
                    f"{path}: no array {', '.join(missing)}; is this a Gaussians2D file?"
                )
            fields: dict[str, Any] = {name: jnp.asarray(file[name]) for name in _ARRAYS}
            return cls(**fields | {name: int(file[name]) for name in _STATIC})


def _stretch(
    scale: jax.Array, rotation: jax.Array, zoom_x: float, zoom_y: float
) -> tuple[jax.Array, jax.Array]:
    """Scale and rotation of Gaussians on a frame stretched by (zoom_x, zoom_y)."""
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    var0, var1 = jnp.square(scale[..., 0]), jnp.square(scale[..., 1])
    xx = (cos**2 * var0 + sin**2 * var1) * zoom_x**2
    yy = (sin**2 * var0 + cos**2 * var1) * zoom_y**2
    xy = cos * sin * (var0 - var1) * zoom_x * zoom_y
    # Eigenvalues of the symmetric 2 x 2 covariance in closed form.
    middle, radius = (xx + yy) / 2, jnp.hypot((xx - yy) / 2, xy)
    axes = jnp.stack([middle + radius, jnp.maximum(middle - radius, 0)], axis=-1)
    return jnp.sqrt(axes), jnp.arctan2(2 * xy, xx - yy) / 2


def activate_scale(raw: jax.Array, floor: float) -> jax.Array:
    """Sigmoid to (floor, 1). Below about a third of a pixel a Gaussian falls between pixels and
    gets no gradient; a floor keeps it alive (0 is the paper's plain sigmoid).
    """  # noqa: D205
    return floor + (1 - floor) * jax.nn.sigmoid(raw)


def activate_rotation(raw: jax.Array) -> jax.Array:
    """pi/2 tanh: every orientation of an ellipse, once (paper, PredGS)."""
    return jnp.pi / 2 * jnp.tanh(raw)


AMPLITUDES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "sigmoid": jax.nn.sigmoid,  # the paper's; frames in [0, 1]
    "linear": lambda raw: raw,  # signed: corrections to a frame, and fields that are z-scored
}
