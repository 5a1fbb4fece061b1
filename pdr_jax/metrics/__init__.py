"""Metrics: OpenSTL's, whose figures can stand beside published ones, and others.

`METRICS` says what each metric means and which direction is better. The functions map frames
(..., H, W, C) to figures (...); `Evaluator` streams batches through them. Of samples:
`crps`, `spread_and_error`, `rank_histogram` and `reliability_counts`, streamed by `Ensemble`. Of
events: `event_counts`, from which `events.scores` takes the ratios, streamed by `Events`.
`metrics.perceptual` has the learned distances.
"""

from pdr_jax.metrics.ensemble import Ensemble
from pdr_jax.metrics.evaluator import Evaluator, FrameMetric
from pdr_jax.metrics.events import Events, event_counts
from pdr_jax.metrics.fidelity import mae, mse, psnr, psnr_uint8, snr, ssim, ssim_gaussian
from pdr_jax.metrics.frechet import Features, Frechet, frechet_distance
from pdr_jax.metrics.probabilistic import (
    crps,
    rank_histogram,
    reliability_counts,
    spread_and_error,
)
from pdr_jax.metrics.statistics import central_moments, fine_power, gradient_magnitude
from pdr_jax.metrics.table import (
    BEST,
    BETTER,
    DEFAULT,
    DETAIL,
    METRICS,
    OTHERS,
    WARPING,
    WARPING_RAFT,
    WEATHER,
    Metric,
)
from pdr_jax.metrics.warping import Flow, dis_flow, occlusion_mask, warping_error
from pdr_jax.metrics.weather import anomaly_correlation, latitude_weights

__all__ = [
    "BEST",
    "BETTER",
    "DEFAULT",
    "DETAIL",
    "METRICS",
    "OTHERS",
    "WARPING",
    "WARPING_RAFT",
    "WEATHER",
    "Ensemble",
    "Evaluator",
    "Events",
    "Features",
    "Flow",
    "FrameMetric",
    "Frechet",
    "Metric",
    "anomaly_correlation",
    "central_moments",
    "crps",
    "dis_flow",
    "event_counts",
    "fine_power",
    "frechet_distance",
    "gradient_magnitude",
    "latitude_weights",
    "mae",
    "mse",
    "occlusion_mask",
    "psnr",
    "psnr_uint8",
    "rank_histogram",
    "reliability_counts",
    "snr",
    "spread_and_error",
    "ssim",
    "ssim_gaussian",
    "warping_error",
]
