"""The module behind a deterministic predictor that learns and draws its residuals."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.diffusion import ddim, schedule
from pdr_jax.diffusion.config import DiffusionConfig
from pdr_jax.diffusion.unet import UNet
from pdr_jax.sharding import drawn_for_clips, mean_over_devices


class Scale(nn.Module):
    """The root mean square of residuals, channel by channel: a running estimate.

    Of the residuals seen so far, the newest weigh most; early ones are not mixed with a start
    value, so it is right from the first batch on.

    Attributes:
      momentum: weight of the newest batch.
    """

    momentum: float

    @nn.compact
    def __call__(
        self, residual: Float[AnyArray, "B K H W C"], valid: Array | None = None, *, update: bool
    ) -> Float[Array, "1 1 1 1 C"]:
        """The scale, after it has seen `residual` where `valid` if `update`; 1 before any."""
        shape = residual.shape[-1:]
        square = self.variable("batch_stats", "square", jnp.zeros, shape)
        weight = self.variable("batch_stats", "weight", jnp.zeros, shape)
        if update and not self.is_initializing():
            axes = tuple(range(residual.ndim - 1))
            valid = jnp.ones_like(residual) if valid is None else valid.astype(residual.dtype)
            count = mean_over_devices(jnp.sum(valid, axes))
            total = mean_over_devices(jnp.sum(valid * residual**2, axes))
            newest = jnp.where(count > 0, self.momentum, 0.0)
            mean = total / jnp.maximum(count, 1.0)
            square.value += newest * (mean - square.value)
            weight.value += newest * (1 - weight.value)
        seen = weight.value > 0
        mean = square.value / jnp.where(seen, weight.value, 1.0)
        return jnp.where(seen, jnp.sqrt(mean + 1e-12), 1.0)[None, None, None, None]


class ResidualDiffusion(nn.Module):
    """A distribution over residuals target - prediction, given prediction and observed frames.

    Attributes:
      config: its choices.
      dtype: the U-Net's compute dtype; all else is float32.
      remat: whether the U-Net's blocks are computed again for their gradient.
    """

    config: DiffusionConfig = DiffusionConfig()
    dtype: DTypeLike | None = None
    remat: bool = False

    def setup(self) -> None:
        """Declares the network and the scale."""
        self.unet = UNet(self.config, self.dtype, self.remat)
        self.scale = Scale(self.config.momentum)

    def learn(
        self,
        prediction: Float[AnyArray, "B K H W C"],
        observed: Float[AnyArray, "B T H W C"],
        target: Float[AnyArray, "B K H W C"],
        *,
        train: bool = True,
    ) -> None:
        """Sows the denoising loss of a batch, weighted, into the collection "losses".

        It is the mean square of what the U-Net misses of "v" or "eps", at one diffusion time and
        with one noise for each clip. Both are drawn from the "dropout" key; the times of a batch
        are spread evenly.

        Args:
          prediction: the deterministic frames.
          observed: the frames before them.
          target: the frames that followed; NaN where they are not known, which does not count.
          train: whether the scale moves towards that of the batch.
        """
        config, clips = self.config, len(prediction)
        if not config.end_to_end:
            prediction = jax.lax.stop_gradient(prediction)
        valid = ~jnp.isnan(target)
        residual = jnp.where(valid, target - prediction, 0.0)
        x = residual / self.scale(jax.lax.stop_gradient(residual), valid, update=train)
        key = self.make_rng("dropout")
        first = jax.random.uniform(jax.random.fold_in(key, 0))
        time = drawn_for_clips(
            lambda shape: (first + jnp.arange(shape[0]) / shape[0]) % 1.0, (clips,)
        )
        draw = functools.partial(jax.random.normal, jax.random.fold_in(key, 1))
        noise = drawn_for_clips(draw, x.shape)
        angle = schedule.angle(time)[:, None, None, None, None]
        noisy = schedule.diffused(x, noise, angle)
        output = self.unet(noisy, time, prediction=prediction, observed=observed)
        missed = jnp.square(output - schedule.goal(config.predicts, x, noise, angle))
        loss = jnp.sum(missed, where=valid) / jnp.maximum(jnp.sum(valid), 1)
        if not self.is_initializing():
            self.sow("losses", "denoising", config.weight * loss)

    def sample(
        self, prediction: Float[AnyArray, "B K H W C"], observed: Float[AnyArray, "B T H W C"]
    ) -> Float[Array, "B K H W C"]:
        """Draws a residual for each clip, from the "sample" key; arguments as in `learn`."""
        config, scale = self.config, self.scale(prediction, update=False)
        draw = functools.partial(jax.random.normal, self.make_rng("sample"))
        noise = drawn_for_clips(draw, prediction.shape)
        unet, variables = self.unet.unbind()

        def network(z: Array, time: Array) -> Array:
            times = jnp.broadcast_to(time, (len(z),))
            output = unet.apply(variables, z, times, prediction=prediction, observed=observed)
            return jnp.asarray(output)

        made = ddim.sample(
            network, noise, steps=config.steps, predicts=config.predicts, clip=config.clip
        )
        return scale * made
