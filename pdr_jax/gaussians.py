"""Gaussians2D: a frame as N coloured 2D Gaussians, and the one place that knows their units.

A Gaussian has 5 + C parameters (paper, PredGS): position (2), scale (2), rotation (1) and
amplitude (C). Position and scale are in normalised units, so that the same Gaussians can be drawn
at any resolution:

* mean     in [-1, 1] on each axis, x to the right and y down; -1 and +1 are the outer EDGES of the
           frame, so pixel i of an axis with n pixels has its centre at 2 (i + 1/2) / n - 1.
* scale    s is a standard deviation of s (K - 1) / 10 pixels along an axis of the Gaussian, on a
           frame of the training resolution, where it is drawn in K x K pixels. In (0, 1) for the
           paper's heads.
* rotation in radians; R = [[cos, -sin], [sin, cos]] turns the Gaussian's axes into (x, y).

`pallas_kernels.splat2d` takes pixels instead; `Gaussians2D.pixels` converts to them.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Float

from pallas_kernels import splat2d, splat2d_normalized
from pallas_kernels.splat2d.grid_sample import paper_to_pixels
from pdr_jax.arrays import AnyArray
from pdr_jax.files import replacing

_ARRAYS = ("mean", "scale", "rotation", "amplitude")
_ROUND = 3e-4  # relative difference of the axes below which a Gaussian counts as round
_STATIC = ("height", "width", "window")
_WEIGHTED = ("weight", "full")


class Drawn(NamedTuple):
    """Frames that Gaussians were drawn into.

    Attributes:
      frames: in the units of the amplitudes.
      coverage: the weight drawn at each pixel, 1 where Gaussians are as dense as at rest and 0 in
        holes; None for Gaussians without weights.
    """

    frames: Float[Array, "*B H W C"]
    coverage: Float[Array, "*B H W 1"] | None


class Gaussians2D(struct.PyTreeNode):
    """N Gaussians for each frame of a batch; a pytree whose leaves are the four arrays.

    Attributes:
      mean: normalised x and y.
      scale: standard deviations along the Gaussian's own axes, in units of (window - 1) / 10 pixels
        at the training resolution.
      rotation: radians.
      amplitude: in the units of the frame; any C, any sign.
      height, width: the training resolution in pixels.
      window: odd K; a Gaussian is drawn within K x K pixels at the training resolution.
      weight: of each Gaussian, positive. Gaussians with weights are drawn normalised, a pixel being
        their weighted mean; Gaussians without (None) add.
      full: the total weight at a pixel that counts as a coverage of 1.
    """

    mean: Float[Array, "*B N 2"]
    scale: Float[Array, "*B N 2"]
    rotation: Float[Array, "*B N"]
    amplitude: Float[Array, "*B N C"]
    height: int = struct.field(pytree_node=False)
    width: int = struct.field(pytree_node=False)
    window: int = struct.field(pytree_node=False)
    weight: Float[Array, "*B N"] | None = None
    full: float = struct.field(pytree_node=False, default=1.0)

    def pixels(
        self, height: int | None = None, width: int | None = None
    ) -> tuple[
        Float[Array, "*B N 2"], Float[Array, "*B N 2"], Float[Array, "*B N"], Float[Array, "*B N C"]
    ]:
        """Mean, scale, rotation and amplitude in pixels of a (height, width) frame.

        At an aspect ratio other than the training resolution's, the covariance is stretched with
        the frame, which changes scale and rotation together.
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
    ) -> Float[Array, "*B height width C"]:
        """Draws the frames: (..., height, width, C), at the training resolution by default.

        Args:
          height: rows of the frame in pixels.
          width: columns of the frame in pixels.
          **options: passed to `pallas_kernels.splat2d` (sampling, implementation).
        """
        return self.draw(height, width, **options).frames

    def draw(self, height: int | None = None, width: int | None = None, **options: Any) -> Drawn:
        """The frames, as `render` draws them, and their coverage."""
        height, width = height or self.height, width or self.width
        zoom = max(height / self.height, width / self.width)
        options |= {
            "height": height,
            "width": width,
            "window": 2 * int(np.ceil(zoom * (self.window - 1) / 2)) + 1,
        }
        gaussians = self.pixels(height, width)
        if self.weight is None:
            return Drawn(splat2d(*gaussians, **options), None)
        return Drawn(*splat2d_normalized(*gaussians, self.weight, full=self.full, **options))

    @classmethod
    def from_pixels(
        cls,
        mean: Float[AnyArray, "*B N 2"],
        scale: Float[AnyArray, "*B N 2"],
        rotation: Float[AnyArray, "*B N"],
        amplitude: Float[AnyArray, "*B N C"],
        *,
        height: int,
        width: int,
        window: int,
        weight: Float[AnyArray, "*B N"] | None = None,
        full: float = 1.0,
    ) -> "Gaussians2D":
        """The inverse of `pixels` at the training resolution, (height, width).

        Raises:
          ValueError: `window` is even or less than 3.
        """
        mean, scale, rotation, amplitude = map(jnp.asarray, (mean, scale, rotation, amplitude))
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
            weight=None if weight is None else jnp.asarray(weight),
            full=full,
        )

    @classmethod
    def from_paper(
        cls,
        mean: Float[AnyArray, "*B N 2"],
        scale: Float[AnyArray, "*B N 2"],
        rotation: Float[AnyArray, "*B N"],
        amplitude: Float[AnyArray, "*B N C"],
        *,
        height: int,
        width: int,
        window: int,
    ) -> "Gaussians2D":
        """Gaussians from the convention of the published renderer (GaussianSR's grid_sample).

        In that convention a positive mean moves to the left and up, +-1 are the centres of the
        border pixels, an even number of columns shifts the centre by half a pixel, and at rotation
        0 the first scale is the vertical one. `render(sampling="bilinear")` draws that renderer's
        frame.
        """
        mean, scale, rotation = paper_to_pixels(
            *map(jnp.asarray, (mean, scale, rotation)), window=window, height=height, width=width
        )
        return cls.from_pixels(
            mean, scale, rotation, amplitude, height=height, width=width, window=window
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the Gaussians to `path` (.npz), whole or not at all.

        Raises:
          ValueError: the name does not end in .npz.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"path={str(path)!r}: expected a name that ends in .npz")
        names = _ARRAYS + _STATIC + (() if self.weight is None else _WEIGHTED)
        arrays: dict[str, Any] = {name: np.asarray(getattr(self, name)) for name in names}
        with replacing(path) as partial:
            np.savez(partial, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Gaussians2D":
        """Reads what `save` wrote.

        Raises:
          ValueError: the file is one array, or lacks some; the message names them.
        """
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
            fields |= {name: int(file[name]) for name in _STATIC}
            if "weight" in file:
                fields |= {"weight": jnp.asarray(file["weight"]), "full": float(file["full"])}
            return cls(**fields)


def _stretch(scale: Array, rotation: Array, zoom_x: float, zoom_y: float) -> tuple[Array, Array]:
    """Scale and rotation of Gaussians on a frame stretched by (zoom_x, zoom_y).

    The axes of the stretched ellipse are the singular values of stretch x rotation x scale. The
    minor one is the determinant over the major one: a difference would cancel in thin Gaussians.
    """
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    x0, x1 = zoom_x * cos * scale[..., 0], zoom_x * sin * scale[..., 1]
    y0, y1 = zoom_y * sin * scale[..., 0], zoom_y * cos * scale[..., 1]
    middle = (x0**2 + x1**2 + y0**2 + y1**2) / 2
    difference, xy = (x0**2 + x1**2 - y0**2 - y1**2) / 2, x0 * y0 - x1 * y1
    # A round Gaussian has no orientation to differentiate: it is drawn a little longer than wide.
    nearly_round = difference**2 + xy**2 <= (_ROUND * middle) ** 2
    difference = jnp.where(nearly_round, difference + 2 * _ROUND * middle, difference)
    point = middle <= 0
    middle, difference = jnp.where(point, 1.0, middle), jnp.where(point, 1.0, difference)
    major = jnp.sqrt(middle + jnp.sqrt(difference**2 + xy**2))
    minor = zoom_x * zoom_y * scale[..., 0] * scale[..., 1] / major
    axes = jnp.stack([jnp.where(point, 0.0, major), minor], axis=-1)
    return axes, jnp.arctan2(xy, difference) / 2


def activate_scale(raw: Float[Array, "*N"], floor: float) -> Float[Array, "*N"]:
    """Sigmoid to (floor, 1); floor=0 is the paper's.

    A Gaussian narrower than about a third of a pixel falls between pixels and gets no gradient: a
    floor keeps it alive.
    """
    return floor + (1 - floor) * jax.nn.sigmoid(raw)


def activate_rotation(raw: Float[Array, "*N"]) -> Float[Array, "*N"]:
    """pi/2 tanh, which is every orientation of an ellipse once (paper, PredGS)."""
    return jnp.pi / 2 * jnp.tanh(raw)


AMPLITUDES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": jax.nn.sigmoid,  # the paper's; for frames in [0, 1]
    "linear": lambda raw: raw,  # signed; for corrections to a frame and for z-scored fields
}
