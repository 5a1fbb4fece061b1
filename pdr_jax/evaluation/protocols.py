"""Which metrics a data set gets under each protocol.

"openstl" is the protocol of published tables: OpenSTL's metrics and data, and the best checkpoint
chosen on the test set. "standard" chooses the best checkpoint on held-out training clips, shares
neither statistics nor people between splits, and reports more metrics. A metric that is in both is
computed in the same way.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdr_datasets import VideoDataset
from pdr_jax import metrics
from pdr_jax.recipes import Protocol


def metric_names(dataset: VideoDataset, protocol: Protocol) -> tuple[str, ...]:
    """The metrics of a data set, without those that its frames are too small or incomplete for."""
    is_map = bool(dataset.scoring.latitudes)
    if protocol == "openstl":
        names: tuple[str, ...] = (
            ("mse", "mae", "rmse") if is_map else ("mse", "mae", "ssim", "psnr")
        )
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
    scoring = dataset.scoring
    units: dict[str, Any] = {"data_range": dataset.data_range}
    if scoring.units == "stored":
        low, high = dataset.data_range
        offset, scale = np.asarray(dataset.units.offset), np.asarray(dataset.units.scale)
        units = {
            "mean": offset,
            "std": scale,
            "data_range": (low * scale + offset, high * scale + offset),
        }
    return metrics.Evaluator(
        metric_names(dataset, protocol) + names,
        spatial_norm=scoring.spatial_norm,
        channel_names=scoring.groups,
        latitudes=scoring.latitudes,
        climatology=scoring.climatology,
        extra=extra,
        raft=raft,
        keep_samples=keep_samples,
        **units,
    )
