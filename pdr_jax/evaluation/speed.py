"""How fast a predictor is: predicted frames a second, one clip at a time."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from pdr_jax.evaluation.draws import Draw

REPEATS = 10


def frames_per_second(
    draw: Draw, observed: jax.Array, horizon: int, *, repeats: int = REPEATS
) -> float:
    """Predicted frames of one clip over the median time of a prediction, compilation left out.

    All samples that `draw` makes of the clip count: draw one for the speed of one future. The
    figure is of the device at hand, and compares with those measured on the same one only.

    Args:
      draw: the predictor.
      observed: (1, T, H, W, C) in model units, on the device.
      horizon: frames to predict.
      repeats: predictions that are timed.
    """
    ids = jnp.zeros(1, jnp.uint32)
    samples = len(jax.block_until_ready(draw(observed, ids, horizon)))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(draw(observed, ids, horizon))
        seconds.append(time.perf_counter() - start)
    return samples * horizon / float(np.median(seconds))
