"""`ssim`: checks its arguments, chooses an implementation and calls it."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from pallas_kernels.batching import align_frames
from pallas_kernels.choice import Kernel, call_first, chosen, when_called
from pallas_kernels.ssim import reference, xla
from pallas_kernels.ssim.measure import Measure, Padding, Weights, gaussian_window

ON_GPU = ("pallas_triton", "jax_triton")
"""The implementations for NVIDIA's GPUs, in the order in which they are tried there."""

IMPLEMENTATIONS: dict[str, Callable] = {
    "reference": reference.ssim,
    "xla": xla.ssim,
    **{name: when_called(f"pallas_kernels.ssim.{name}", "ssim") for name in ON_GPU},
}
"""By name: functions of two arrays (F, H, W, C) and a `Measure` that return (F,). They raise
NotImplementedError for platforms, windows and dtypes that they do not serve."""

KERNEL = Kernel("ssim", IMPLEMENTATIONS, ON_GPU)

DTYPES = (jnp.bfloat16, jnp.float32, jnp.float64)


def ssim(
    x: Float[ArrayLike, "*B H W C"],
    y: Float[ArrayLike, "*B H W C"],
    *,
    windows: tuple[Weights, Weights] = (gaussian_window(),) * 2,
    data_range: float | tuple[float, float] = 1.0,
    sample_covariance: bool = False,
    padding: Padding = "valid",
    signed: bool = False,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "*B"]:
    """Structural similarity of frames, averaged over windows and channels.

    Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, with K1 = 0.01 and K2 = 0.03. `reference` has
    the formula.

    Args:
        x: (..., H, W, C).
        y: (..., H, W, C).
        windows: weights along H and along W, of odd lengths: `gaussian_window`, `uniform_window`
            or others. They are scaled to sum to 1.
        data_range: L for values in [0, L], or (low, high). `low` is subtracted from both arrays,
            because SSIM compares brightness as a ratio to zero.
        sample_covariance: divide variances and covariances by n - 1 rather than by the n pixels of
            a window (scikit-image's `use_sample_covariance`; meaningful for uniform windows).
        padding: "valid" takes the windows that lie inside the frame, as scikit-image's mean and
            pytorch-msssim do. "same" takes a window at every pixel; at the border the weights of
            the pixels inside the frame are scaled to sum to 1, so that no pixel is made up and a
            constant frame stays constant.
        signed: take the product of two negative factors, brightness and contrast-structure, with a
            minus. As published it is positive: frames that are mirrored about `low` come out near
            1 (without `low`, -y and y), and a training can settle there. `signed` is for losses;
            a metric is the published form. Where a factor is 0 the similarity has a kink; its
            gradient there is the published form's.
        implementation: a name in `IMPLEMENTATIONS`; or several, of which the first that serves the
            call and works here is used; or None for those that PALLAS_KERNELS_SSIM names, which are
            by default `ON_GPU` and then "xla" on a GPU, and "xla" elsewhere.

    Returns:
        (...), each in [-1, 1], computed and returned in the arrays' precision, at least float32.

    Both arrays have reverse-mode gradients, which are finite for constant frames too. Forward mode
    (jax.jvp, jax.jacfwd) is not available with those in `ON_GPU`, which carry their own VJP.

    Raises:
        ValueError: shapes differ, a window has an even length or is larger than a "valid" frame,
            the range is not positive, or a name is unknown.
        TypeError: an array is not bfloat16, float32 or float64.
        NotImplementedError: no implementation asked for serves these arguments.
    """
    frames = _check_arrays(x, y)
    shape = frames[0].shape
    measure = _check_measure(shape, windows, data_range, sample_covariance, padding, signed)
    names = chosen(KERNEL, implementation)
    flat = align_frames([z.reshape(-1, *shape[-3:]) for z in frames])
    return call_first(KERNEL, names, *flat, measure=measure).reshape(shape[:-3])


def ssim_map(
    x: Float[ArrayLike, "*B H W C"],
    y: Float[ArrayLike, "*B H W C"],
    *,
    windows: tuple[Weights, Weights] = (gaussian_window(),) * 2,
    data_range: float | tuple[float, float] = 1.0,
    sample_covariance: bool = False,
    padding: Padding = "valid",
    signed: bool = False,
) -> Float[Array, "*B Y X C"]:
    """The similarity of each window, of which `ssim` is the mean; always by "xla".

    For means that leave windows out, see `whole_windows`. Arguments and errors are those of `ssim`.

    Returns:
        (..., Y, X, C): one value for each window and channel.
    """
    frames = _check_arrays(x, y)
    shape = frames[0].shape
    measure = _check_measure(shape, windows, data_range, sample_covariance, padding, signed)
    flat_x, flat_y = (z.reshape(-1, *shape[-3:]) for z in frames)
    similarities = jnp.moveaxis(xla.similarities(flat_x, flat_y, measure), 1, -1)
    return similarities.reshape(*shape[:-3], *similarities.shape[1:])


def _check_arrays(x, y):
    x, y = jnp.asarray(x), jnp.asarray(y)
    for name, array in (("x", x), ("y", y)):
        if array.dtype not in DTYPES:
            raise TypeError(
                f"{name} has dtype {array.dtype}; expected bfloat16, float32 or float64: cast it"
            )
    if x.shape != y.shape or x.ndim < 3 or 0 in x.shape[-3:]:
        raise ValueError(
            f"x has shape {x.shape}, y {y.shape}; expected equal shapes (..., H, W, C)"
        )
    return x, y


def _check_measure(shape, windows, data_range, sample_covariance, padding, signed):
    if padding not in ("valid", "same"):
        raise ValueError(f"padding is {padding!r}; expected 'valid' or 'same'")
    low, high = data_range if isinstance(data_range, tuple | list) else (0.0, data_range)
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        raise ValueError(
            f"data_range is {data_range!r}; expected a positive number L for data in [0, L], "
            "or a pair (low, high) with high > low"
        )
    scaled = []
    for weights, length in zip(windows, shape[-3:-1], strict=True):
        size, total = len(weights), sum(weights)
        if size % 2 == 0 or not total > 0:
            raise ValueError(f"a window has weights {weights}; expected an odd number of them")
        if padding == "valid" and size > length:
            raise ValueError(
                f"frames are {shape[-3]}x{shape[-2]}; a window of {size} does not fit: take a "
                "smaller one, or padding='same'"
            )
        scaled.append(tuple(float(weight) / total for weight in weights))
    if sample_covariance and len(scaled[0]) * len(scaled[1]) == 1:
        raise ValueError("a window of one pixel has no sample covariance")
    rows, columns = scaled
    width = float(high - low)
    return Measure(rows, columns, float(low), width, sample_covariance, padding, signed)
