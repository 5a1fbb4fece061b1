"""Scores of an ensemble: n samples of the same future, beside the one that happened.

A pixel without truth (NaN in the target) gets NaN, or counts nowhere. A NaN of a sample where there
is a truth makes the pixel's score NaN, or all counts of its frame. Integers and lower precisions
are computed in float32. Shapes that do not fit raise ValueError.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.metrics.checks import by_channel, check_samples, nan_where_broken

_FRAME = (-3, -2, -1)


def _floats(array: AnyArray) -> AnyArray:
    return array if array.dtype in (np.float32, np.float64) else array.astype(jnp.float32)


def crps(
    samples: AnyArray,
    target: AnyArray,
    *,
    fair: bool = True,
) -> Float[Array, "*B H W C"]:
    """Continuous ranked probability score of each pixel, in the frames' units; lower is better.

    CRPS = mean |x_i - y| - sum_ij |x_i - x_j| / (2 n m), where m = n - 1 if `fair`, and n if not
    (Gneiting and Raftery 2007; Ferro 2014). For one sample it is the absolute error, so a
    deterministic predictor's mean CRPS is its mean absolute error.

    The fair score, the default, estimates without bias the score of the distribution that the
    samples come from: figures of 5 samples and of 50 compare. The ordinary one scores the samples'
    own step function, as most code of nowcasting papers does, and falls as n grows.

    Args:
      samples: the ensemble, (n, *B, H, W, C).
      target: what happened, (*B, H, W, C).
      fair: see above.
    """
    check_samples(samples, target)
    n = len(samples)
    # Without the target: differences keep their digits where values are large (kelvin).
    x = jnp.sort(jnp.asarray(_floats(samples) - _floats(target)[None]), axis=0)
    error = jnp.abs(x).mean(0)
    if n == 1:
        return error
    # Of sorted samples, sum_ij |x_i - x_j| / 2 = sum_k (2 k - n - 1) x_k with k from 1.
    weights = (2.0 * jnp.arange(1, n + 1) - n - 1).reshape(-1, *(1,) * target.ndim)
    return error - (weights * x).sum(0) / (n * (n - 1 if fair else n))


def spread_and_error(
    samples: AnyArray, target: AnyArray
) -> tuple[Float[Array, "*B H W C"], Float[Array, "*B H W C"]]:
    """Variance of the samples about their mean, and the squared error of the mean, at each pixel.

    Where the truth is one more draw from the same distribution, the means over many pixels have the
    ratio n / (n + 1) (Fortin et al. 2014); `spread_skill` takes this into account.

    Args:
      samples: the ensemble, (n, *B, H, W, C); n of 2 or more.
      target: what happened, (*B, H, W, C).
    """
    check_samples(samples, target, least=2)
    anomalies = jnp.asarray(_floats(samples) - _floats(target)[None])
    return anomalies.var(0, ddof=1), anomalies.mean(0) ** 2


def rank_histogram(samples: AnyArray, target: AnyArray) -> Float[Array, "*B ranks"]:
    """Pixels of a frame by the truth's rank among the samples, n + 1 ranks from below all to above.

    A calibrated ensemble has a flat histogram; a U tells of too little spread. The weight of a
    pixel with ties is shared evenly by the ranks that are possible.

    Args:
      samples: the ensemble, (n, *B, H, W, C).
      target: what happened, (*B, H, W, C).
    """
    check_samples(samples, target)
    samples, target = jnp.asarray(_floats(samples)), jnp.asarray(_floats(target))
    below = (samples < target[None]).sum(0)
    equal = (samples == target[None]).sum(0)
    weight = jnp.where(jnp.isnan(target), 0.0, 1.0 / (equal + 1))

    def pixels(rank: Array) -> Array:
        inside = (rank >= below) & (rank <= below + equal)
        return jnp.where(inside, weight, 0.0).sum(_FRAME)

    ranks = jax.lax.map(pixels, jnp.arange(len(samples) + 1))
    broken = jnp.isnan(samples).any(0) & ~jnp.isnan(target)
    return nan_where_broken(jnp.moveaxis(ranks, 0, -1), broken)


def reliability_counts(
    samples: AnyArray, target: AnyArray, threshold: AnyArray
) -> tuple[Float[Array, "*B levels"], Float[Array, "*B levels"]]:
    """Pixels of a frame for which k of n samples reach a threshold, and those that do reach it.

    The n + 1 levels are k = 0 ... n; over many frames, (events / pixels)[k] beside k / n is the
    reliability curve.

    Args:
      samples: the ensemble, (n, *B, H, W, C).
      target: what happened, (*B, H, W, C).
      threshold: a number, or one for each channel, (C,); reached from the value itself on.

    Returns:
      (pixels, events).
    """
    check_samples(samples, target)
    samples, target = jnp.asarray(_floats(samples)), jnp.asarray(_floats(target))
    known = ~jnp.isnan(target)
    limit = by_channel(threshold, target)
    broken = jnp.isnan(samples).any(0) & known
    forecast = (samples >= limit[None]).sum(0)
    event = target >= limit

    def counts(level: Array) -> tuple[Array, Array]:
        here = known & (forecast == level)
        return here.sum(_FRAME, dtype=jnp.float32), (here & event).sum(_FRAME, dtype=jnp.float32)

    pixels, events = jax.lax.map(counts, jnp.arange(len(samples) + 1))
    return (
        nan_where_broken(jnp.moveaxis(pixels, 0, -1), broken),
        nan_where_broken(jnp.moveaxis(events, 0, -1), broken),
    )
