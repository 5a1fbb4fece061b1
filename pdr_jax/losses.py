"""Training losses: functions of (prediction, target), two clips (B, T, H, W, C), to a scalar.

`create` makes a loss by name. Every loss takes any number of channels, computes in float32 (in
float64 if a clip is float64) and raises ValueError if the two shapes differ. Leading dimensions
other than (B, T) are taken by all losses but those with the differential divergence.
"""

import inspect
import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from pallas_kernels import ssim as structural_similarity
from pallas_kernels.ssim import GAUSSIAN_SIZE, Padding, gaussian_window
from pdr_jax.arrays import on_pairs
from pdr_jax.losses_wavelet import high_frequency_focal

Loss = Callable[[Array, Array], Float[Array, ""]]
DataRange = float | tuple[float, float]
"""L, for values in [0, L]; or (low, high)."""


@on_pairs
def mse(prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"]) -> Float[Array, ""]:
    """Mean squared error over all elements."""
    return jnp.mean((prediction - target) ** 2)


@on_pairs
def l1(prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"]) -> Float[Array, ""]:
    """Mean absolute error over all elements."""
    return jnp.mean(jnp.abs(prediction - target))


@on_pairs
def ssim(
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
    *,
    data_range: DataRange = 1.0,
    padding: Padding = "valid",
    signed: bool = True,
    implementation: str | None = None,
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
      implementation: see `pallas_kernels.ssim`.
    """
    down, across = (
        min(GAUSSIAN_SIZE, length - 1 + length % 2) if padding == "valid" else GAUSSIAN_SIZE
        for length in prediction.shape[-3:-1]
    )
    return structural_similarity(
        prediction,
        target,
        windows=(gaussian_window(down), gaussian_window(across)),
        data_range=data_range,
        padding=padding,
        signed=signed,
        implementation=implementation,
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
    """
    similarity = ssim(
        prediction,
        target,
        data_range=data_range,
        padding=padding,
        signed=signed,
        implementation=implementation,
    )
    return weight * l1(prediction, target) + (1.0 - weight) * (1.0 - similarity)


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
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, alpha: float = 0.1
) -> Float[Array, ""]:
    """TAU's loss: MSE + alpha * `differential_divergence`. For (B, T, H, W, C) only."""
    return mse(prediction, target) + alpha * differential_divergence(prediction, target)


@on_pairs
def mse_l1(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"]
) -> Float[Array, ""]:
    """E3D-LSTM's loss: MSE + L1."""
    return mse(prediction, target) + l1(prediction, target)


@on_pairs
def mse_hffl(
    prediction: Float[Array, "*B H W C"], target: Float[Array, "*B H W C"], *, weight: float = 0.001
) -> Float[Array, ""]:
    """WaST's loss: MSE + `high_frequency_focal`."""
    return mse(prediction, target) + high_frequency_focal(prediction, target, weight=weight)


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
    **options: float | str,
) -> Loss:
    """The loss called `name`, with its options bound.

    Args:
      name: a key of `LOSSES`.
      data_range: as in `ssim`; losses without SSIM ignore it.
      implementation: as in `ssim`; losses without SSIM ignore it.
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
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key != "implementation"
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
    return partial(LOSSES[name], **options)


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
