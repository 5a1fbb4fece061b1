"""`ssim`: checks its arguments, chooses an implementation and calls it."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from pallas_kernels.batching import align_frames
from pallas_kernels.choice import call_first, chosen
from pallas_kernels.ssim import pallas_triton, reference, xla
from pallas_kernels.ssim.measure import Measure, Padding, Weights, gaussian_window

IMPLEMENTATIONS: dict[str, Callable] = {
    "reference": reference.ssim,
    "xla": xla.ssim,
    "pallas_triton": pallas_triton.ssim,
}
"""Name -> function of two (F, H, W, C) arrays and a `Measure` that returns (F,). It raises
NotImplementedError for platforms, windows and dtypes that it does not serve."""

DTYPES = (jnp.bfloat16, jnp.float32, jnp.float64)


def ssim(
    x: jax.Array,
    y: jax.Array,
    *,
    windows: tuple[Weights, Weights] = (gaussian_window(),) * 2,
    data_range: float | tuple[float, float] = 1.0,
    sample_covariance: bool = False,
    padding: Padding = "valid",
    implementation: str | Sequence[str] | None = None,
) -> jax.Array:
    """Structural similarity of frames, averaged over windows and channels.

    Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, with K1 = 0.01 and K2 = 0.03: see `reference`.

    Args:
        x: (..., H, W, C).
        y: (..., H, W, C).
        windows: weights along H and along W, of odd lengths: `gaussian_window`, `uniform_window`
            or others; they are scaled to sum to 1.
        data_range: L for values in [0, L]; or (low, high), and both arrays are taken relative to
            low, since SSIM compares brightness as a ratio to zero.
        sample_covariance: divide (co)variances by n - 1 rather than n, n the pixels of a window
            (scikit-image's `use_sample_covariance`; meaningful for uniform windows).
        padding: "valid": only windows that lie inside the frame, as scikit-image's mean and
            pytorch-msssim. "same": a window at every pixel, which at the border keeps the weights
            of the pixels inside the frame, rescaled to sum to 1: no made-up pixels, and a constant
            frame stays constant.
        implementation: a name in `IMPLEMENTATIONS`, or several to be tried in order until one
            does not raise NotImplementedError, or None for the best one here.

    Returns:
        (...), each in [-1, 1], computed and returned in the arrays' precision, at least float32.

    Reverse-mode differentiable in both arrays; jax.jvp and jax.jacfwd are not available with
    "pallas_triton", which carries its own VJP. Constant frames have finite gradients.

    Raises:
        ValueError: shapes that differ, windows of even length or larger than a "valid" frame, a
            range that is not positive, unknown names.
        TypeError: arrays that are not bfloat16, float32 or float64.
        NotImplementedError: no implementation asked for serves these arguments.
    """
    x, y = _check_arrays(x, y)
    measure = _check_measure(x.shape, windows, data_range, sample_covariance, padding)
    names = chosen(implementation, IMPLEMENTATIONS, on_gpu=("pallas_triton",))
    batch = x.shape[:-3]
    x, y = align_frames([z.reshape(-1, *z.shape[-3:]) for z in (x, y)])
    return call_first(names, IMPLEMENTATIONS, x, y, measure).reshape(batch)


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


def _check_measure(shape, windows, data_range, sample_covariance, padding):
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
    return Measure(rows, columns, float(low), float(high - low), sample_covariance, padding)
