"""Training losses: functions of (prediction, target), two clips (B, T, H, W, C), to a scalar.

`create` makes a loss by name. Every loss takes any number of channels, computes in float32 (in
float64 if a clip is float64) and raises ValueError if the two shapes differ. Leading dimensions
other than (B, T) are taken by all losses but those with the differential divergence.

With `create(..., missing=True)` NaN marks the target's missing pixels. The prediction stands in for
them, without a gradient; and means are taken over what is there, in the batch as a whole, wherever
its parts lie: pixels, or SSIM's windows without a missing pixel.
"""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from pallas_kernels import ssim as structural_similarity
from pallas_kernels.ssim import GAUSSIAN_SIZE, Padding, gaussian_window, ssim_map, whole_windows
from pdr_jax.arrays import on_pairs
from pdr_jax.losses_wavelet import high_frequency_focal
from pdr_jax.sharding import mean_over_devices

Loss = Callable[[Array, Array], Float[Array, ""]]
DataRange = float | tuple[float, float]
"""L, for values in [0, L]; or (low, high)."""
Valid = Bool[Array, "*B H W C"] | None
"""What of a target is there; None for all."""


@on_pairs
def mse(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, valid: Valid = None
) -> Float[Array, ""]:
    """Mean squared error over all elements, or those that are `valid`."""
    return _mean((prediction - target) ** 2, valid)


@on_pairs
def l1(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, valid: Valid = None
) -> Float[Array, ""]:
    """Mean absolute error over all elements, or those that are `valid`."""
    return _mean(jnp.abs(prediction - target), valid)


@on_pairs
def ssim(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    data_range: DataRange = 1.0,
    padding: Padding = "valid",
    signed: bool = True,
    implementation: str | None = None,
    valid: Valid = None,
) -> Float[Array, ""]:
    """Mean SSIM: 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03 (Wang et al. 2004).

    With `signed=False` it equals scikit-image's `structural_similarity(gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False)` and pytorch-msssim, averaged over frames and channels.

    Args:
      prediction: (..., H, W, C).
      target: (..., H, W, C).
      data_range: L, for values in [0, L]; or (low, high), from which `low` is subtracted first.
        SSIM compares brightness as a ratio to zero, so data around zero (z-scored fields) need the
        pair.
      padding: "valid" (windows inside the frame) or "same" (a window at every pixel), see
        `pallas_kernels.ssim`. Along an axis shorter than 11 pixels "valid" uses the largest odd
        window that fits (frames of 16x8: 11x7).
      signed: take the product of two negative factors, brightness and contrast-structure, with a
        minus. Without this, as in the paper, frames that are mirrored about `low` come out near 1.
        Where values lie near `low` (flows, rain) L1 is small between them too, and an unbounded
        output can settle there. See `pallas_kernels.ssim`.
      implementation: see `pallas_kernels.ssim`; always "xla" with `valid`.
      valid: takes the mean over the windows without an invalid pixel; 1 if there is none.
    """
    down, across = (
        min(GAUSSIAN_SIZE, length - 1 + length % 2) if padding == "valid" else GAUSSIAN_SIZE
        for length in prediction.shape[-3:-1]
    )
    windows = gaussian_window(down), gaussian_window(across)
    options: dict[str, Any] = {"data_range": data_range, "padding": padding, "signed": signed}
    if valid is not None:
        similarity = ssim_map(prediction, target, windows=windows, **options)
        return 1.0 - _mean(1.0 - similarity, whole_windows(valid, windows, padding))
    return structural_similarity(
        prediction, target, windows=windows, implementation=implementation, **options
    ).mean()


@on_pairs
def l1_ssim(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    weight: float = 0.5,
    data_range: DataRange = 1.0,
    padding: Padding = "valid",
    signed: bool = True,
    implementation: str | None = None,
    valid: Valid = None,
) -> Float[Array, ""]:
    """PDR's loss: weight * L1 + (1 - weight) * (1 - SSIM).

    Args:
      prediction: (..., H, W, C).
      target: (..., H, W, C).
      weight: lambda of the paper, in [0, 1].
      data_range: as in `ssim`. L1 is in the data's own units.
      padding: as in `ssim`.
      signed: as in `ssim`; False is the paper's literal form.
      implementation: as in `ssim`.
      valid: as in `l1` and `ssim`.
    """
    similarity = ssim(
        prediction,
        target,
        data_range=data_range,
        padding=padding,
        signed=signed,
        implementation=implementation,
        valid=valid,
    )
    return weight * l1(prediction, target, valid=valid) + (1.0 - weight) * (1.0 - similarity)


@on_pairs
def differential_divergence(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    temperature: float = 0.1,
) -> Float[Array, ""]:
    """TAU's regulariser R (Tan et al., CVPR 2023), which compares where two clips change.

    A softmax over H, W and C turns each frame difference, divided by `temperature`, into a
    distribution: p of the prediction, q of the target. R is the mean of
    p log(p / (q + 1e-12) + 1e-12) over B, T - 1 and H W C, as in the authors' code: the
    Kullback-Leibler divergence divided by H W C. It is 0 for clips of one or two frames.

    Args:
      prediction: (B, T, H, W, C).
      target: (B, T, H, W, C).
      temperature: in the units of the data.

    Raises:
      ValueError: the shapes differ, or are not (B, T, H, W, C).
    """
    if prediction.ndim != 5:
        raise ValueError(
            f"prediction has shape {prediction.shape}; the differential divergence compares frames "
            "of clips: expected (B, T, H, W, C)"
        )
    batch, length = prediction.shape[:2]
    if length <= 2:
        return jnp.zeros((), prediction.dtype)

    def distribution(clip: Array) -> Array:
        change = jnp.diff(clip, axis=1).reshape(batch, length - 1, -1)
        return jax.nn.softmax(change / temperature)

    p, q = distribution(prediction), distribution(target)
    return jnp.mean(p * jnp.log(p / (q + 1e-12) + 1e-12))


@on_pairs
def mse_ddr(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    alpha: float = 0.1,
    valid: Valid = None,
) -> Float[Array, ""]:
    """TAU's loss: MSE + alpha * `differential_divergence`. For (B, T, H, W, C) only."""
    return mse(prediction, target, valid=valid) + alpha * differential_divergence(
        prediction, target
    )


@on_pairs
def mse_l1(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, valid: Valid = None
) -> Float[Array, ""]:
    """E3D-LSTM's loss: MSE + L1."""
    return mse(prediction, target, valid=valid) + l1(prediction, target, valid=valid)


@on_pairs
def mse_hffl(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    weight: float = 0.001,
    valid: Valid = None,
) -> Float[Array, ""]:
    """WaST's loss: MSE + `high_frequency_focal`."""
    return mse(prediction, target, valid=valid) + high_frequency_focal(
        prediction, target, weight=weight
    )


LOSSES: dict[str, Callable[..., Array]] = {
    "mse": mse,
    "l1": l1,
    "l1_ssim": l1_ssim,
    "mse_ddr": mse_ddr,
    "mse_l1": mse_l1,
    "mse_hffl": mse_hffl,
}


def create(
    name: str,
    /,
    *,
    data_range: DataRange = 1.0,
    implementation: str | None = None,
    missing: bool = False,
    **options: float | str,
) -> Loss:
    """The loss called `name`, with its options bound.

    Args:
      name: a key of `LOSSES`.
      data_range: as in `ssim`; losses without SSIM ignore it.
      implementation: as in `ssim`; losses without SSIM ignore it.
      missing: whether targets may hold NaN, which marks missing pixels; see the module. It costs
        a second mean, and without NaN the values are the same up to rounding.
      **options: `weight`, `padding` and `signed` (0 and 1 will do) of l1_ssim, `alpha` of mse_ddr,
        `weight` of mse_hffl.

    Raises:
      ValueError: an unknown name, an option the loss does not have, or a value out of range.
    """
    if name not in LOSSES:
        raise ValueError(f"loss={name!r}: expected one of {', '.join(sorted(LOSSES))}")
    accepted = {
        key
        for key, parameter in inspect.signature(LOSSES[name]).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        and key not in ("implementation", "valid")
    }
    for key in options:
        if key not in accepted:
            valid = ", ".join(sorted(accepted)) or "none"
            raise ValueError(f"loss_options.{key}: expected an option of {name!r}: {valid}")
    for key, highest, expected in (("weight", 1.0, "from 0 to 1"), ("alpha", 1e30, "0 or more")):
        value = options.get(key, 0.0)
        if not isinstance(value, int | float) or not 0.0 <= value <= highest:
            raise ValueError(f"loss_options.{key}={value!r}: expected a number {expected}")
    if options.get("padding", "valid") not in ("valid", "same"):
        raise ValueError(f"loss_options.padding={options['padding']!r}: expected 'valid' or 'same'")
    if "signed" in options:
        if options["signed"] not in (0, 1):
            raise ValueError(
                f"loss_options.signed={options['signed']!r}: expected True or False, or 1 or 0"
            )
        options["signed"] = bool(options["signed"])
    _check_range(data_range)
    if "data_range" in accepted:
        own = {"data_range": data_range, "implementation": implementation}
        options = {**own, **options}  # type: ignore[dict-item]
    loss = partial(LOSSES[name], **options)
    return partial(_of_present, loss) if missing else loss


def _of_present(loss: Callable[..., Array], prediction: Array, target: Array) -> Float[Array, ""]:
    """A loss of a target in which NaN marks what is missing."""
    valid = ~jnp.isnan(target)
    filled = jnp.where(valid, target, jax.lax.stop_gradient(prediction).astype(target.dtype))
    return loss(prediction, filled, valid=valid)


def _mean(values: Array, valid: Array | None) -> Float[Array, ""]:
    """The mean of the valid values of a batch that devices may share; 0 if there are none."""
    if valid is None:
        return values.mean()
    # The devices' results are averaged: with the mean count each has its share of the whole mean.
    count = mean_over_devices(valid.sum().astype(values.dtype))
    return jnp.where(valid, values, 0.0).sum() / jnp.where(count > 0, count, 1.0)


def _check_range(data_range: DataRange) -> None:
    pair = data_range if isinstance(data_range, tuple | list) else (0.0, data_range)
    try:
        low, high = pair
        valid = math.isfinite(low) and math.isfinite(high) and high > low
    except (TypeError, ValueError):  # no pair, or not of numbers
        valid = False
    if not valid:
        raise ValueError(
            f"data_range={data_range!r}: expected a positive number L for data in [0, L], "
            "or a pair (low, high) with high > low"
        )
