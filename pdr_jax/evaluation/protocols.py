"""Which metrics a data set gets under each protocol.

"openstl" is the protocol of published tables: OpenSTL's metrics and data, and the best checkpoint
chosen on the test set. "standard" chooses the best checkpoint on held-out training clips, shares
neither statistics nor people between splits, and reports more metrics. A metric that is in both is
computed in the same way. "mcvd" trains as "standard" does, and has the metrics of diffusion models'
tables (`pdr_jax.evaluation.mcvd`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdr_datasets import VideoDataset
from pdr_jax import metrics
from pdr_jax.evaluation import mcvd
from pdr_jax.evaluation.figures import Figures, best_of
from pdr_jax.recipes import Protocol


def metric_names(dataset: VideoDataset, protocol: Protocol) -> tuple[str, ...]:
    """The metrics of a data set, without those that its frames are too small or incomplete for."""
    is_map = bool(dataset.scoring.latitudes)
    if protocol == "openstl":
        names: tuple[str, ...] = (
            ("mse", "mae", "rmse") if is_map else ("mse", "mae", "ssim", "psnr")
        )
    elif protocol == "mcvd":
        names = ("mse", "mae")
    else:
        names = metrics.DEFAULT + metrics.DETAIL + (metrics.WEATHER if is_map else ())
    side = min(dataset.frame_shape[:2])
    left_out = {"acc"} if dataset.scoring.climatology is None else set()
    left_out |= {"ssim", "ssim_range1"} if side < 7 else set()
    left_out |= set(metrics.DETAIL) if side < 8 else set()
    if dataset.fill is not None:
        left_out |= {name for name in names if metrics.METRICS[name].across_clips}
    return tuple(name for name in names if name not in left_out)


def evaluator(
    dataset: VideoDataset,
    protocol: Protocol = "standard",
    *,
    names: tuple[str, ...] = (),
    extra: Mapping[str, metrics.FrameMetric] | None = None,
    raft: metrics.Flow | None = None,
    keep_samples: bool = False,
) -> metrics.Evaluator:
    """The metrics of a data set, ready for batches in model units.

    Args:
      dataset: its `scoring` says in which units errors are measured.
      protocol: which metrics; see the module.
      names: metrics besides those of the protocol.
      extra: further metrics, as in `metrics.Evaluator`.
      raft: optical flow of RAFT, as there.
      keep_samples: whether to keep the values of every clip.
    """
    scoring, (low, high) = dataset.scoring, dataset.data_range
    offset, scale = _measured_units(dataset)
    return metrics.Evaluator(
        metric_names(dataset, protocol) + names,
        spatial_norm=scoring.spatial_norm,
        channel_names=scoring.groups,
        latitudes=scoring.latitudes,
        climatology=scoring.climatology,
        extra=extra,
        raft=raft,
        keep_samples=keep_samples,
        mean=offset,
        std=scale,
        data_range=(low * scale + offset, high * scale + offset),
        missing=dataset.fill is not None,
    )


def figures(
    dataset: VideoDataset,
    protocol: Protocol = "standard",
    *,
    ensemble: bool = False,
    thresholds: tuple[float, ...] = (),
    features: Mapping[str, metrics.Features] | None = None,
    keep_samples: bool = False,
    **options: Any,
) -> Figures:
    """All that is measured of a predictor on a data set.

    Args:
      dataset: the clips.
      protocol: which metrics of frames.
      ensemble: whether scores of samples are among them.
      thresholds: of events, in stored units; by default those of the data set, which may be none.
      features: networks whose Fréchet distances are measured, by the figure's name.
      keep_samples: whether to keep the values of every clip.
      options: further arguments of `evaluator`.

    Raises:
      ValueError: a threshold is not finite or stands for missing values, or the frames are not as
        the protocol needs them.
    """
    limits = {}
    for threshold in thresholds or dataset.scoring.thresholds:
        stored = np.full((1, dataset.frame_shape[-1]), threshold, np.float32)
        limit = dataset.units.normalise(stored)[0]
        if not np.isfinite(limit).all():
            raise ValueError(
                f"thresholds: {threshold:g} is no value of the data; expected stored units"
            )
        limits[f"{threshold:g}"] = limit
    _, scale = _measured_units(dataset)
    by_mcvd = protocol == "mcvd"
    if by_mcvd:
        mcvd.check(dataset.frame_shape)
        extra = dict(options.pop("extra", None) or {})
        options["extra"] = extra | mcvd.frame_metrics(extra.pop("lpips", None))
    keep_samples |= by_mcvd
    return Figures(
        evaluator(dataset, protocol, keep_samples=keep_samples, **options),
        metrics.Events(limits) if limits else None,
        metrics.Ensemble(std=scale, thresholds=limits) if ensemble else None,
        tuple(
            metrics.Frechet(name, network, data_range=dataset.data_range)
            for name, network in (features or {}).items()
        ),
        keep_samples,
        mcvd.figures if by_mcvd else best_of,
    )


def _measured_units(dataset: VideoDataset) -> tuple[np.ndarray, np.ndarray]:
    """(offset, scale): errors are measured in model units * scale + offset."""
    if dataset.scoring.units == "model":
        return np.asarray(0.0), np.asarray(1.0)
    return np.asarray(dataset.units.offset), np.asarray(dataset.units.scale)
