"""`METRICS`: what every metric means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Better = Literal["lower", "higher", "one"]


@dataclass(frozen=True)
class Metric:
    """One reported figure.

    Attributes:
      better: which direction is better; "one" for a ratio that should be 1.
      convention: what is computed, in a line for tables and captions.
      sums: names of the quantities of a frame (`quantities.frame_values`) that it is made of.
      finish: turns the means of `sums` over all frames into the figure; applied once, at the end.
      by_group: whether groups of channels get figures of their own.
      needs: arguments of `Evaluator` without which the figure cannot be computed.
      across_clips: whether it compares clips with each other, so that one clip has no figure.
    """

    better: Better
    convention: str
    sums: tuple[str, ...]
    finish: Callable[..., np.ndarray] = lambda mean: mean
    by_group: bool = False
    needs: tuple[str, ...] = ()
    across_clips: bool = False


def _kurtosis_ratio(
    prediction2: np.ndarray, prediction4: np.ndarray, target2: np.ndarray, target4: np.ndarray
) -> np.ndarray:
    return (prediction4 / prediction2**2) / (target4 / target2**2)


def _distance_ratio(
    prediction: np.ndarray, mean_prediction: np.ndarray, target: np.ndarray, mean_target: np.ndarray
) -> np.ndarray:
    # The mean squared distance of two clips is twice the variance over clips, times n / (n - 1).
    variance = np.maximum(prediction - mean_prediction, 0.0)
    return np.sqrt(variance / (target - mean_target))


_MAP = ("latitudes",)

METRICS: Mapping[str, Metric] = {
    "mse": Metric(
        "lower",
        "squared error summed over H, W, C of a frame, not clipped",
        ("mse",),
        by_group=True,
    ),
    "mae": Metric(
        "lower",
        "absolute error summed over H, W, C of a frame, not clipped",
        ("mae",),
        by_group=True,
    ),
    "rmse": Metric(
        "lower", "square root of mse, taken once over all frames", ("mse",), np.sqrt, by_group=True
    ),
    "psnr": Metric(
        "higher", "OpenSTL: dB a frame, peak 1, prediction clipped to [0, 1]", ("psnr",)
    ),
    "psnr_uint8": Metric(
        "higher",
        "SimVP's and TAU's papers: dB a frame, peak 255, frames cut to 8 bits, squares kept modulo "
        "256; several dB above psnr, and may fall where a prediction improves",
        ("psnr_uint8",),
    ),
    "ssim": Metric("higher", "OpenSTL: 7x7 uniform window, data range 2, clipped", ("ssim",)),
    "ssim_range1": Metric("higher", "7x7 uniform window, data range 1, clipped", ("ssim_range1",)),
    "ssim_gaussian": Metric(
        "higher", "11x11 Gaussian window, sigma 1.5, data range 1, clipped", ("ssim_gaussian",)
    ),
    "snr": Metric("higher", "dB a frame, prediction clipped to [0, 1]", ("snr",)),
    "sharpness": Metric(
        "one",
        "gradient magnitude summed over all predictions / the same of the truth, not clipped",
        ("edges_prediction", "edges_target"),
        np.divide,
    ),
    "spectral_energy": Metric(
        "one",
        "radially averaged power between 1/4 and 1/2 cycles a pixel (Hann window), summed over all "
        "predictions / the same of the truth, not clipped",
        ("fine_prediction", "fine_target"),
        np.divide,
    ),
    "kurtosis": Metric(
        "one",
        "m4 / m2^2 of all predictions / the same of the truth (a Gaussian has 3); moments of pixel "
        "values about the mean of their frame and channel, not clipped",
        ("m2_prediction", "m4_prediction", "m2_target", "m4_target"),
        _kurtosis_ratio,
    ),
    "diversity": Metric(
        "one",
        "root mean square distance between the predictions of two different clips at the same step "
        "/ the same of the truth, not clipped",
        ("square_prediction", "mean_prediction", "square_target", "mean_target"),
        _distance_ratio,
        across_clips=True,
    ),
    "warping_error": Metric(
        "lower",
        "Lai et al. 2018 with the flow of the truth: mean squared difference of a predicted frame "
        "and the next one warped back, peak 1, occluded pixels left out, clipped; blur lowers it",
        ("warping_prediction", "warping_steps"),
        np.divide,
        needs=("flow",),
    ),
    "warping_ratio": Metric(
        "one",
        "warping_error of the predictions / the same of the truth",
        ("warping_prediction", "warping_target"),
        np.divide,
        needs=("flow",),
    ),
    "warping_error_raft": Metric(
        "lower",
        "warping_error, with the flow of RAFT (Teed and Deng 2020)",
        ("warping_prediction_raft", "warping_steps_raft"),
        np.divide,
        needs=("raft",),
    ),
    "warping_ratio_raft": Metric(
        "one",
        "warping_error_raft of the predictions / the same of the truth",
        ("warping_prediction_raft", "warping_target_raft"),
        np.divide,
        needs=("raft",),
    ),
    "rmse_weighted": Metric(
        "lower",
        "WeatherBench 2: cos(latitude)-weighted, averaged over H, W, C, one root over all frames",
        ("mse_weighted",),
        np.sqrt,
        by_group=True,
        needs=_MAP,
    ),
    "rmse_weighted_frame": Metric(
        "lower",
        "WeatherBench 1, as in its paper: cos(latitude)-weighted, mean of each frame's root",
        ("rmse_weighted_frame",),
        by_group=True,
        needs=_MAP,
    ),
    "mae_weighted": Metric(
        "lower",
        "cos(latitude)-weighted, averaged over H, W, C",
        ("mae_weighted",),
        by_group=True,
        needs=_MAP,
    ),
    "acc": Metric(
        "higher",
        "WeatherBench 2: cos(latitude)-weighted correlation of a frame's differences from the "
        "climatology",
        ("acc",),
        by_group=True,
        needs=(*_MAP, "climatology"),
    ),
}
"""The metrics that `Evaluator` knows by name."""

_COUNTED = "counts summed over the test set, then the ratio; mean over thresholds"

OTHERS: Mapping[str, tuple[Better, str]] = {
    "lpips": ("lower", "see `perceptual.load_lpips_alex`"),
    "st_lpips_alex": ("lower", "see `perceptual.load_st_lpips_alex`"),
    "crps": (
        "lower",
        "fair CRPS of each pixel, averaged; does not depend on the number of samples; of a point "
        "prediction the mean absolute error",
    ),
    "crps_ordinary": ("lower", "CRPS of the samples' own step function; falls with more samples"),
    "spread_skill": (
        "one",
        "root of (n + 1) / n times the samples' mean variance / mean square error of their mean",
    ),
    "csi": ("higher", f"hits / (hits + misses + false alarms); {_COUNTED}"),
    "pod": ("higher", f"hits / observed events; {_COUNTED}"),
    "far": ("lower", f"false alarms / predicted events; {_COUNTED}"),
    "hss": ("higher", f"share of right cells beyond chance; {_COUNTED}"),
    "bias": ("one", f"predicted / observed events; {_COUNTED}"),
    "csi_pool4": ("higher", "csi of cells of 4x4 pixels in which an event occurs anywhere"),
    "csi_pool16": ("higher", "csi of cells of 16x16 pixels in which an event occurs anywhere"),
    "fvd": ("lower", "Fréchet distance of I3D's logits, of observed and predicted frames together"),
    "mse_mcvd": ("lower", "of a clip in [0, 1]; best of n, see `evaluation.mcvd`"),
    "psnr_mcvd": ("higher", "dB of a clip, peak 1; best of n, see `evaluation.mcvd`"),
    "ssim_mcvd": ("higher", "of 8-bit frames, Gaussian window; best of n, see `evaluation.mcvd`"),
    "lpips_mcvd": ("lower", "of frames enlarged to 128x128; best of n, see `evaluation.mcvd`"),
    "fps": ("higher", "predicted frames a second, one clip at a time"),
    "frechet_st_lpips": (
        "lower",
        "Fréchet distance of frames in the features of ST-LPIPS; no published FVD or FID",
    ),
}
"""Direction and convention of figures that `Evaluator` does not know by name."""

BEST = ("mse", "psnr", "ssim", "lpips", "st_lpips_alex")
"""Metrics of which the best of n samples of a clip is reported, as "psnr_best"."""

_EACH: dict[str, Better] = {
    **{name: metric.better for name, metric in METRICS.items()},
    **{name: better for name, (better, _) in OTHERS.items()},
}
BETTER: Mapping[str, Better] = _EACH | {f"{name}_best": _EACH[name] for name in BEST}
"""Which direction is better, for every figure that tables rank."""

DEFAULT = ("mse", "mae", "rmse", "psnr", "ssim", "ssim_range1", "sharpness")
"""What tables rank by. "psnr_uint8" is left out, because it does not order predictions."""

DETAIL = ("spectral_energy", "kurtosis", "diversity")
"""Show blur and collapse; need frames of at least 8x8 pixels."""

WARPING = ("warping_error", "warping_ratio")
"""Show temporal coherence; need a flow function, or OpenCV and frames of at least 12x12 pixels."""

WARPING_RAFT = ("warping_error_raft", "warping_ratio_raft")
"""The same with the flow of `raft.load_raft`, and frames of at least 16x16 pixels."""

WEATHER = ("rmse_weighted", "mae_weighted", "acc")
"""WeatherBench 2's figures; all need latitudes, "acc" also the climatology."""
