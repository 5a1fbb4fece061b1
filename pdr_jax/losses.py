"""Training losses: functions of (prediction, target), both (B, T, H, W, C), to a float32 scalar.

`create` makes one by name. All accept any leading shape, any number of channels and lower-precision
input (computed in float32); float64 input stays float64.
"""

import inspect
import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from pallas_kernels import ssim as structural_similarity
from pallas_kernels.ssim import GAUSSIAN_SIZE, Padding, gaussian_window
from pdr_jax.losses_wavelet import high_frequency_focal

Loss = Callable[[jax.Array, jax.Array], jax.Array]
DataRange = float | tuple[float, float]


def mse(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error over all elements."""
    prediction, target = _checked(prediction, target)
    return jnp.mean((prediction - target) ** 2)


def l1(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Mean absolute error over all elements."""
    prediction, target = _checked(prediction, target)
    return jnp.mean(jnp.abs(prediction - target))


def ssim(
    prediction: jax.Array,
    target: jax.Array,
    *,
    data_range: DataRange = 1.0,
    padding: Padding = "valid",
) -> jax.Array:
    """Mean SSIM: 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03 (Wang et al. 2004).

    Equals scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)` and pytorch-msssim, averaged over frames and channels.

    Args:
      prediction: (..., H, W, C).
      target: (..., H, W, C).
      data_range: L, for values that lie in [0, L]; or (low, high), and both arrays are taken
        relative to low first, since SSIM compares brightness as a ratio to zero. Use the pair for
        data around zero such as z-scored fields.
      padding: "valid", windows inside the frame; or "same", a window at every pixel: see
        `pallas_kernels.ssim`. Where a frame is shorter than 11 pixels, "valid" uses the largest
        odd window that fits along that axis (16x8: 11x7).
    """
    prediction, target = _checked(prediction, target)
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
    ).mean()


def l1_ssim(
    prediction: jax.Array,
    target: jax.Array,
    *,
    weight: float = 0.5,
    data_range: DataRange = 1.0,
    padding: Padding = "valid",
) -> jax.Array:
    """PDR's loss: weight * L1 + (1 - weight) * (1 - SSIM).

    Args:
      prediction: (..., H, W, C).
      target: (..., H, W, C).
      weight: lambda of the paper, in [0, 1].
      data_range: as in `ssim`. L1 is in the data's own units.
      padding: as in `ssim`.
    """
    dissimilarity = 1.0 - ssim(prediction, target, data_range=data_range, padding=padding)
    return weight * l1(prediction, target) + (1.0 - weight) * dissimilarity


def differential_divergence(
    prediction: jax.Array, target: jax.Array, *, temperature: float = 0.1
) -> jax.Array:
    """TAU's regulariser R (Tan et al., CVPR 2023): do changes happen at the same places?

    Frame differences, flattened over H, W and C and divided by `temperature`, become
    distributions by softmax: p of the prediction, q of the target. R is the mean over B, T - 1 and
    H W C of p log(p / (q + 1e-12) + 1e-12), as in the authors' code: a Kullback-Leibler divergence
    divided by H W C. Zero for clips of one or two frames.

    Args:
      prediction: (B, T, H, W, C).
      target: (B, T, H, W, C).
      temperature: in the units of the data.
    """
    prediction, target = _checked(prediction, target)
    if prediction.ndim != 5:
        raise ValueError(
            f"prediction has shape {prediction.shape}; the differential divergence compares frames "
            "of clips: expected (B, T, H, W, C)"
        )
    batch, length = prediction.shape[:2]
    if length <= 2:
        return jnp.zeros((), prediction.dtype)

    def distribution(clip: jax.Array) -> jax.Array:
        change = jnp.diff(clip, axis=1).reshape(batch, length - 1, -1)
        return jax.nn.softmax(change / temperature)

    p, q = distribution(prediction), distribution(target)
    return jnp.mean(p * jnp.log(p / (q + 1e-12) + 1e-12))


def mse_ddr(prediction: jax.Array, target: jax.Array, *, alpha: float = 0.1) -> jax.Array:
    """TAU's loss: MSE + alpha * R, R the differential divergence. For (B, T, H, W, C) only."""
    return mse(prediction, target) + alpha * differential_divergence(prediction, target)


def mse_l1(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """E3D-LSTM's loss: MSE + L1."""
    return mse(prediction, target) + l1(prediction, target)


def mse_hffl(prediction: jax.Array, target: jax.Array, *, weight: float = 0.001) -> jax.Array:
    """WaST's loss: MSE + its high-frequency focal loss; see `high_frequency_focal`."""
    return mse(prediction, target) + high_frequency_focal(prediction, target, weight=weight)


LOSSES: dict[str, Callable[..., jax.Array]] = {
    "mse": mse,
    "l1": l1,
    "l1_ssim": l1_ssim,
    "mse_ddr": mse_ddr,
    "mse_l1": mse_l1,
    "mse_hffl": mse_hffl,
}


def create(name: str, *, data_range: DataRange = 1.0, **options: float | str) -> Loss:
    """The loss called `name`, with its options bound.

    Args:
      name: a key of `LOSSES`.
      data_range: of the data, as in `ssim`; the losses without SSIM do not depend on it.
      **options: `weight` and `padding` of l1_ssim, `alpha` of mse_ddr, `weight` of mse_hffl.

    Raises:
      ValueError: an unknown name, an option the loss does not have, or a value out of range.
    """
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; the losses are {', '.join(sorted(LOSSES))}")
    accepted = {
        key
        for key, parameter in inspect.signature(LOSSES[name]).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for key in options:
        if key not in accepted:
            valid = ", ".join(sorted(accepted)) or "none"
            raise ValueError(f"loss {name!r} has no option {key!r}; its options: {valid}")
    for key, highest in (("weight", 1.0), ("alpha", math.inf)):
        value = options.get(key, 0.0)
        if not isinstance(value, int | float) or not 0.0 <= value <= highest:
            raise ValueError(f"loss {name!r}: {key} is {value!r}; expected 0 <= {key} <= {highest}")
    if options.get("padding", "valid") not in ("valid", "same"):
        raise ValueError(f"padding is {options['padding']!r}; expected 'valid' or 'same'")
    _check_range(data_range)
    if "data_range" in accepted:
        options = {"data_range": data_range, **options}  # type: ignore[dict-item]
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
            f"data_range is {data_range!r}; expected a positive number L for data in [0, L], "
            "or a pair (low, high) with high > low"
        )


def _checked(prediction: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape}, target {target.shape}; expected equal shapes"
        )
    dtype = jnp.promote_types(jnp.result_type(prediction, target), jnp.float32)
    return prediction.astype(dtype), target.astype(dtype)
