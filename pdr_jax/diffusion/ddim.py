"""DDIM (Song et al., arXiv 2010.02502): from noise to a sample in few steps."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from pdr_jax.diffusion import schedule


def sample(
    network: Callable[[Array, Array], Array],
    noise: Array,
    *,
    steps: int,
    predicts: str = "v",
    clip: float = 0.0,
) -> Array:
    """Follows the mixture from noise alone to x alone, at `steps` equal steps of time.

    Args:
      network: (z, time) -> "v" or "eps" in the shape of z, see `pdr_jax.diffusion.schedule`; time
        is a scalar in [0, 1].
      noise: z at time 1.
      steps: calls of the network, 1 or more. One step returns the x that it sees in noise.
      predicts: "v" or "eps".
      clip: the largest x, 0 for any.

    Returns:
      x, in the shape and dtype of `noise`.
    """
    times = jnp.linspace(1, 0, steps + 1, dtype=noise.dtype)
    angles = schedule.angle(times).at[-1].set(0)  # the last mixture is x itself

    def step(z: Array, at: tuple[Array, Array, Array]) -> tuple[Array, None]:
        time, here, there = at
        x = schedule.denoised(predicts, z, network(z, time), here)
        x = jnp.clip(x, -clip, clip) if clip else x
        return schedule.diffused(x, schedule.noise_in(z, x, here), there), None

    return jax.lax.scan(step, noise, (times[:-1], angles[:-1], angles[1:]))[0]
