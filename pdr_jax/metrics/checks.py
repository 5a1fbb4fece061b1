"""What scores of samples and of events refuse, and how a NaN of theirs is told."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from pdr_jax.arrays import AnyArray


def check_samples(
    samples: AnyArray, target: AnyArray, *, axes: str = "*B, H, W, C", least: int = 1
) -> None:
    """Raises ValueError unless there are `least` samples or more, each of the target's shape."""
    shapes = np.shape(samples), np.shape(target)
    if shapes[0][1:] != shapes[1] or len(shapes[1]) < 3 or shapes[0][0] < least:
        raise ValueError(
            f"samples has shape {shapes[0]}, target {shapes[1]}; expected (n, {axes}) and "
            f"({axes}), n of {least} or more"
        )


def check_thresholds(thresholds: object) -> None:
    """Raises TypeError unless thresholds have labels."""
    if not isinstance(thresholds, Mapping):
        raise TypeError(
            f"thresholds is a {type(thresholds).__name__}; expected a mapping from labels to "
            'numbers, as {"20": 20.0}'
        )


def by_channel(threshold: AnyArray | np.floating, target: Array) -> Array:
    """A threshold in a shape that broadcasts to the target's, (*B, H, W, C)."""
    if np.size(threshold) not in (1, target.shape[-1]):
        raise ValueError(
            f"threshold has shape {np.shape(threshold)}, target {target.shape}; expected a number "
            "or one for each channel, (C,)"
        )
    return jnp.asarray(threshold).reshape(*(1,) * (target.ndim - 1), -1)


def nan_where_broken(counts: Array, broken: Array) -> Array:
    """Counts of frames (*B, k), NaN for those that have a pixel in `broken`, (*B, H, W, C)."""
    return jnp.where(broken.any((-3, -2, -1))[..., None], jnp.nan, counts)
