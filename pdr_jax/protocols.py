"""Which figures a data set gets, and how, under each protocol.

"openstl" is what published tables hold: OpenSTL's metrics and data, its best checkpoint chosen on
the test set. "standard" chooses it on held-out training clips, does not let a split see another's
statistics or people, and reports more figures; those of the two that share a name are computed
alike.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdr_datasets import VideoDataset
from pdr_jax import metrics
from pdr_jax.recipes import Protocol


def metric_names(dataset: VideoDataset, protocol: Protocol) -> tuple[str, ...]:
    """The figures of a data set; none whose window is larger than its frames."""
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
    return tuple(name for name in names if name not in left_out)


def evaluator(
    dataset: VideoDataset,
    protocol: Protocol = "standard",
    *,
    names: tuple[str, ...] = (),
    extra: Mapping[str, metrics.FrameMetric] | None = None,
    keep_samples: bool = False,
) -> metrics.Evaluator:
    """The metrics of a data set, ready for batches in model units.

    Args:
      dataset: says in which units errors are measured (`VideoDataset.scoring`).
      protocol: see above.
      names: metrics besides those of the protocol.
      extra: further metrics, as in `metrics.Evaluator`.
      keep_samples: keep the values of every clip.
    """
    scoring = dataset.scoring
    units: dict[str, Any] = {"data_range": dataset.data_range}
    if scoring.units == "stored":
        low, high = dataset.data_range
        offset, scale = np.asarray(dataset.offset), np.asarray(dataset.scale)
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
        keep_samples=keep_samples,
        **units,
    )
