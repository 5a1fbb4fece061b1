"""`splat2d`: checks its arguments, chooses an implementation and calls it."""

from collections.abc import Callable, Sequence
from typing import SupportsIndex

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from pallas_kernels.batching import align_frames
from pallas_kernels.choice import Kernel, call_first, chosen, when_called
from pallas_kernels.splat2d import reference, xla

PORTABLE = ("reference", "xla")
"""The implementations that run wherever JAX does, in any dtype."""

ON_GPU = ("pallas_triton", "pallas_mosaic", "jax_triton")
"""The implementations for NVIDIA's GPUs, in the order in which they are tried there."""


IMPLEMENTATIONS: dict[str, Callable] = {
    "reference": reference.splat,
    "xla": xla.splat,
    **{name: when_called(f"pallas_kernels.splat2d.{name}", "splat") for name in ON_GPU},
}
"""By name: functions of mean (F, N, 2), scale (F, N, 2), rotation (F, N) and amplitude (F, N, C),
all of one dtype, that return frames (F, H, W, C) in `dtype`. They raise NotImplementedError for
platforms, shapes and dtypes that they do not serve."""

KERNEL = Kernel("splat2d", IMPLEMENTATIONS, ON_GPU)

DTYPES = (jnp.bfloat16, jnp.float32, jnp.float64)
SAMPLINGS = ("exact", "bilinear")
TAILS = {
    "mean": "(..., N, 2)",
    "scale": "(..., N, 2)",
    "rotation": "(..., N)",
    "amplitude": "(..., N, C)",
    "weight": "(..., N)",
}
"""The shapes of arguments."""


def splat2d(
    mean: Float[ArrayLike, "*B N 2"],
    scale: Float[ArrayLike, "*B N 2"],
    rotation: Float[ArrayLike, "*B N"],
    amplitude: Float[ArrayLike, "*B N C"],
    *,
    height: SupportsIndex,
    width: SupportsIndex,
    window: SupportsIndex | None = None,
    sampling: str = "exact",
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "*B {height} {width} C"]:
    """Draws 2D Gaussians into frames, additively and differentiably.

    Pixel p of a frame is sum_i amplitude_i exp(-1/2 (p - mean_i)^T Sigma_i^-1 (p - mean_i)) with
    Sigma = R diag(scale^2) R^T and R = [[cos, -sin], [sin, cos]] in (x right, y down).

    Args:
        mean: (..., N, 2), x and y in pixels; the centre of the top-left pixel is (0, 0).
        scale: (..., N, 2), standard deviations in pixels along the Gaussian's own axes. A scale
            below `reference.MIN_SCALE` (1e-3 pixels), zero and negative ones too, is drawn as
            MIN_SCALE and has no gradient.
        rotation: (..., N), radians.
        amplitude: (..., N, C), the value at the mean, for any number of channels C.
        height: rows of the frame.
        width: columns of the frame.
        window: an odd K draws each Gaussian only where |p - mean| <= K / 2 on both axes; None
            draws it everywhere.
        sampling: "exact" evaluates the formula above at every pixel. "bilinear" draws as the
            published baseline does, see `grid_sample`: it evaluates the formula on a lattice of
            window x window points around the mean and interpolates; it needs a window.
        implementation: a name in `IMPLEMENTATIONS`; or several, of which the first that serves the
            call and works here is used; or None for those that PALLAS_KERNELS_SPLAT2D names, which
            are by default `ON_GPU` and then "xla" on a GPU, and "xla" elsewhere.

    Returns:
        (..., height, width, C) in amplitude's dtype. Sums are accumulated in the widest dtype of
        the arguments, at least float32.

    All four arrays have reverse-mode gradients. Forward mode (jax.jvp, jax.jacfwd) needs
    implementation="reference": the others carry their own VJP. jax.vmap, and leading axes that are
    sharded under jax.jit, cost no communication.

    Raises:
        ValueError: shapes do not fit each other, a window is even, or a name is unknown.
        TypeError: an array is not bfloat16, float32 or float64, or a size is not an integer.
        NotImplementedError: no implementation asked for serves these arguments.
    """
    arrays = check_arrays(mean=mean, scale=scale, rotation=rotation, amplitude=amplitude)
    height = _check_size("height", height)
    width = _check_size("width", width)
    window = _check_window(window, sampling)
    names = chosen(KERNEL, implementation)

    batch, out_dtype = arrays[0].shape[:-2], arrays[3].dtype
    dtype = jnp.result_type(jnp.float32, *arrays)
    if 0 in arrays[0].shape:
        return jnp.zeros((*batch, height, width, arrays[3].shape[-1]), out_dtype)
    flat = align_frames([x.astype(dtype).reshape(-1, *x.shape[len(batch) :]) for x in arrays])
    out = call_first(
        KERNEL,
        names,
        *flat,
        height=height,
        width=width,
        window=window,
        sampling=sampling,
        dtype=out_dtype,
    )
    return out.reshape(*batch, *out.shape[1:])


def check_arrays(**arrays: ArrayLike) -> tuple[Array, ...]:
    """The arrays, by the names in `TAILS` and "mean" among them, if their shapes and dtypes fit.

    Raises:
        ValueError: shapes do not fit each other.
        TypeError: an array is not bfloat16, float32 or float64.
    """
    checked = {name: jnp.asarray(x) for name, x in arrays.items()}
    for name, x in checked.items():
        if x.dtype not in DTYPES:
            raise TypeError(
                f"{name} has dtype {x.dtype}; expected bfloat16, float32 or float64: cast it first"
            )
        rank = TAILS[name].count(",")
        wrong_pair = name in ("mean", "scale") and x.ndim >= 2 and x.shape[-1] != 2
        if x.ndim < rank or wrong_pair or (name == "amplitude" and x.shape[-1] < 1):
            raise ValueError(f"{name} has shape {x.shape}; expected {TAILS[name]}")
    leading = checked["mean"].shape[:-1]
    for name, x in checked.items():
        found = x.shape[: x.ndim + 1 - TAILS[name].count(",")]
        if found != leading:
            raise ValueError(
                f"{name} has shape {x.shape}, whose (..., N) is {found}; expected {leading} as in "
                f"mean {checked['mean'].shape}: leading axes and N must be equal, broadcast first"
            )
    return tuple(checked.values())


def _check_size(name, size):
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError(f"{name} is {size!r}; expected a positive int")
    if int(size) < 1:
        raise ValueError(f"{name} is {size}; expected a positive int")
    return int(size)


def _check_window(window, sampling):
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling is {sampling!r}; expected one of {', '.join(SAMPLINGS)}")
    if window is None:
        if sampling == "bilinear":
            raise ValueError(
                "window is None; sampling='bilinear' places a window x window lattice and needs an "
                "odd window: give one, or use sampling='exact'"
            )
        return None
    window = _check_size("window", window)
    if window % 2 == 0:
        raise ValueError(f"window is {window}; expected an odd number: use {window + 1}")
    return window
