"""The published baseline, literally: an oracle for sampling="bilinear" and a benchmark row.

GaussianSR, and before it OutofAi/2D-Gaussian-Splatting, draw a Gaussian as a K x K kernel, pad it
with zeros to the size of the frame and move it with affine_grid and grid_sample (bilinear,
align_corners=True, zeros outside). Everything is an (N, C, H, W) array, which is why it is slow.
`base_grid` draws the same frame from (N, K + 1, K + 1, C) patches.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from pallas_kernels.splat2d.reference import gaussian, whitening


def grid_sample(
    mu: Float[Array, "N 2"],
    scale: Float[Array, "N 2"],
    rotation: Float[Array, " N"],
    amplitude: Float[Array, "N C"],
    *,
    height: int,
    width: int,
    window: int,
) -> Float[Array, "{height} {width} C"]:
    """Draws one frame the way the baseline does, in the baseline's own parameters.

    Args:
        mu: (N, 2), x and y in [-1, 1]; positive moves left and up. 0 is the middle of the frame;
            along an axis on which size - window is odd, half a pixel left of it (above it).
        scale: (N, 2), standard deviations in (0, 1), in units of (window - 1) / 10 pixels; the
            first is the vertical one at rotation 0.
        rotation: (N,), radians.
        amplitude: (N, C).
        height: rows of the frame.
        width: columns of the frame.
        window: odd K, at most height and width.

    Returns:
        (height, width, C).

    Raises:
        ValueError: the window is larger than the frame, or even: then the kernel's maximum is not
            its centre, and the normalisations do not cancel.
    """
    if window % 2 == 0 or window > min(height, width):
        raise ValueError(f"window is {window}; expected an odd number <= {min(height, width)}")
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    rotate = jnp.stack([jnp.stack([cos, -sin], -1), jnp.stack([sin, cos], -1)], -2)
    covariance = (rotate * scale[:, None, :] ** 2) @ rotate.mT
    axis = jnp.linspace(-5.0, 5.0, window, dtype=scale.dtype)
    lattice = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), -1)  # [row, column] = (y, x)
    distance = jnp.einsum("rqi,nij,rqj->nrq", lattice, jnp.linalg.inv(covariance), lattice)
    kernel = jnp.exp(-0.5 * distance)
    kernel /= 2 * jnp.pi * jnp.sqrt(jnp.linalg.det(covariance))[:, None, None]
    kernel /= kernel.max((1, 2), keepdims=True)

    rows, columns = height - window, width - window
    image = jnp.pad(
        amplitude[:, :, None, None] * kernel[:, None],
        ((0, 0), (0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)),
    )
    return _translate(image, mu).sum(0).transpose(1, 2, 0)


def base_grid(
    mu: Float[Array, "N 2"],
    scale: Float[Array, "N 2"],
    rotation: Float[Array, " N"],
    amplitude: Float[Array, "N C"],
    *,
    height: int,
    width: int,
    window: int,
) -> Float[Array, "{height} {width} C"]:
    """Draws what `grid_sample` draws, with its arguments, from patches of K + 1 pixels.

    All pixels of a Gaussian lie at the same fractions between lattice points. So one 2 x 2 stencil
    blends the K x K values on the base grid, and the (K + 1) x (K + 1) patch is added to the frame
    where the integer part of the translation puts it.
    """
    mean, scale, rotation = paper_to_pixels(
        mu, scale, rotation, height=height, width=width, window=window
    )
    corner = jnp.floor(mean)
    fx, fy = (mean - corner).T[:, :, None, None]
    axis = jnp.arange(window, dtype=mean.dtype) - window // 2
    lattice = jnp.stack(jnp.meshgrid(axis, axis), -1)[None]
    value = gaussian(whitening(scale, rotation)[:, None, None], lattice, None)
    value = jnp.pad(value, ((0, 0), (1, 1), (1, 1)))
    value = fx * value[:, :, :-1] + (1 - fx) * value[:, :, 1:]
    value = fy * value[:, :-1] + (1 - fy) * value[:, 1:]

    # The margin of the canvas takes what lies beyond the frame.
    side = window + 1
    canvas = jnp.zeros((height + 2 * side, width + 2 * side, amplitude.shape[1]), amplitude.dtype)
    last = jnp.array([[width, height]], mean.dtype) + side
    first = jnp.clip(corner - window // 2 + side, 0, last).astype(jnp.int32)
    columns, rows = first.T[:, :, None] + jnp.arange(side, dtype=jnp.int32)[None, None]
    patches = amplitude[:, None, None] * value[..., None]
    canvas = canvas.at[rows[:, :, None], columns[:, None, :]].add(patches)
    return canvas[side:-side, side:-side]


def _translate(image, mu):
    """affine_grid(theta=[[1, 0, mu_x], [0, 1, mu_y]]) and grid_sample of images (N, C, H, W)."""
    _, _, height, width = image.shape
    x = jnp.linspace(-1.0, 1.0, width, dtype=mu.dtype)[None, None, :] + mu[:, 0, None, None]
    y = jnp.linspace(-1.0, 1.0, height, dtype=mu.dtype)[None, :, None] + mu[:, 1, None, None]
    x, y = jnp.broadcast_arrays((x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1))

    def corner(x, y):
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        column = jnp.clip(x, 0, width - 1).astype(jnp.int32)
        row = jnp.clip(y, 0, height - 1).astype(jnp.int32)
        values = jax.vmap(lambda image, row, column: image[:, row, column])(image, row, column)
        return jnp.where(inside[:, None], values, 0)

    left, top = jnp.floor(x), jnp.floor(y)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    upper = (1 - fx) * corner(left, top) + fx * corner(left + 1, top)
    lower = (1 - fx) * corner(left, top + 1) + fx * corner(left + 1, top + 1)
    return (1 - fy) * upper + fy * lower


def paper_to_pixels(
    mu: Float[Array, "*B N 2"],
    scale: Float[Array, "*B N 2"],
    rotation: Float[Array, "*B N"],
    *,
    height: int,
    width: int,
    window: int,
) -> tuple[Float[Array, "*B N 2"], Float[Array, "*B N 2"], Float[Array, "*B N"]]:
    """The mean, scale and rotation with which `splat2d` draws the baseline's Gaussians.

    * mean: the kernel's centre lies at (size - K) // 2 + (K - 1) / 2 before it is moved, and mu
      moves it by -mu (size - 1) / 2 pixels, because it is the sampling grid that mu is added to.
    * scale: the lattice has K points from -5 to 5, so one pixel is 10 / (K - 1).
    * rotation: the baseline's R acts on (y, x), so its first axis (cos t, sin t) is (sin t, cos t)
      in (x, y), which is the direction pi / 2 - t.

    Args:
        mu: (..., N, 2), as in `grid_sample`.
        scale: (..., N, 2), as in `grid_sample`.
        rotation: (..., N), as in `grid_sample`.
        height: rows of the frame.
        width: columns of the frame.
        window: odd K.

    Returns:
        mean (..., N, 2), scale (..., N, 2) in pixels and rotation (..., N).
    """

    def place(mu, size):
        return (size - window) // 2 + (window - 1) / 2 - mu * (size - 1) / 2

    mean = jnp.stack([place(mu[..., 0], width), place(mu[..., 1], height)], -1)
    return mean, scale * (window - 1) / 10, jnp.pi / 2 - rotation
