"""PredGS that draws each coarse frame anew: the paper's heads, and convolutional ones.

For a frame (H, W, C):

    average-pool by D                            (H / D, W / D, C)
    four independent heads, one hidden layer     raw position, scale, rotation, amplitude
    mu    = tanh(raw + start)                    (N, 2) in [-1, 1]
    s     = sigmoid(raw)                         (N, 2) in (0, 1)
    theta = pi/2 tanh(raw)                       (N,)
    a     = sigmoid(raw)                         (N, C) in (0, 1)

`start` is a learned position for each Gaussian, initialised from a pattern
(`pdr_jax.predgs.position_init`). The units of mu and s, and the activations, are in
`pdr_jax.gaussians`.

Taken literally, this recipe tends to draw the same picture for every input, because pooled frames
of different clips differ little compared with their mean. The presets "robust", "robust_offset" and
"conv" change what keeps it from learning: small output kernels at the start, standardised input,
signed amplitudes, a smallest scale, or convolutional heads that see a part of the frame each.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.gaussians import AMPLITUDES, Gaussians2D, activate_rotation, activate_scale
from pdr_jax.predgs import position_init
from pdr_jax.predgs.config import PredGSConfig
from pdr_jax.sharding import mean_over_devices


class Redrawn(nn.Module):
    """Coarse frames (B, T, H, W, C) to Gaussians2D with leading dimensions (B, T): see `PredGS`."""

    config: PredGSConfig

    @nn.compact
    def __call__(
        self,
        coarse: Float[AnyArray, "B T H W C"],
        *,
        observed: Float[AnyArray, "*B2 H W C"] | None = None,
        train: bool = False,
    ) -> Gaussians2D:
        """Describes each frame by N Gaussians: see `PredGS`."""
        config = self.config
        batch, time, height, width, channels = coarse.shape
        config.check_pool(height, width)
        observed = coarse if observed is None else observed
        frames = rearrange(coarse.astype(jnp.float32), "b t h w c -> (b t) h w c")
        pooled = nn.avg_pool(frames, (config.pool, config.pool), (config.pool, config.pool))
        if config.standardize:
            pooled = RunningStandardize(name="standardize")(pooled, train=train)

        def head(name: str, size: int, std: float = config.head_std) -> Array:
            make = ConvHead if config.heads == "conv" else MLPHead
            raw = make(config, size, std, name=name)(pooled)
            return raw.reshape(batch, time, config.num_gaussians, size)

        start = self.param("position_start", self._start, jnp.asarray(observed))
        scale_start = self.param("scale_start", lambda _: jnp.asarray(config.scale_start))
        amplitude_start = self.param(
            "amplitude_start", lambda _: jnp.full((channels,), config.amplitude_start, jnp.float32)
        )

        spacing = 2 / math.sqrt(config.num_gaussians)
        if config.position_reach:
            reach = config.position_reach * spacing
            mean = jnp.tanh(_lead(start)) + reach * jnp.tanh(head("position", 2))
        else:
            # Raw positions are in half frames here, so a small kernel is one that is small beside
            # the spacing.
            raw_position = head("position", 2, config.head_std * spacing)
            mean = jnp.tanh(raw_position + _lead(start))
        floor = config.min_sigma / ((config.window - 1) / 10)
        return Gaussians2D(
            mean=mean,
            scale=activate_scale(head("scale", 2) + _lead(scale_start), floor),
            rotation=activate_rotation(head("rotation", 1))[..., 0],
            amplitude=AMPLITUDES[config.amplitude](
                head("amplitude", channels) + _lead(amplitude_start)
            ),
            height=height,
            width=width,
            window=config.window,
        )

    def _start(self, key: Array, observed: Array) -> Array:
        """(N, 2) starting positions before the tanh, which never reaches the edge itself."""
        config = self.config
        pattern = position_init.PATTERNS[config.position_init](key, config.num_gaussians, observed)
        if config.heads == "conv":
            cells = (observed.shape[-3] // config.pool, observed.shape[-2] // config.pool)
            pattern = _in_cells(config, *cells)
        return jnp.arctanh(jnp.clip(jnp.asarray(pattern), -0.99, 0.99))


def _lead(parameter: Array) -> Array:
    """Adds the leading dimensions of (B, T, N, size)."""
    return parameter.reshape((1,) * (4 - parameter.ndim) + parameter.shape)


class MLPHead(nn.Module):
    """Flatten, one hidden layer (64 to 256 wide in the paper), N x size outputs."""

    config: PredGSConfig
    size: int
    std: float

    @nn.compact
    def __call__(self, pooled: Float[Array, "M h w C"]) -> Float[Array, "M outputs"]:
        """N x `size` raw values of each frame."""
        x = nn.Dense(self.config.hidden, name="hidden")(pooled.reshape(pooled.shape[0], -1))
        size = self.config.num_gaussians * self.size
        return nn.Dense(size, kernel_init=output_init(self.std), name="out")(nn.gelu(x))


class ConvHead(nn.Module):
    """Two 3 x 3 convolutions over the pooled cells; each cell emits its own Gaussians."""

    config: PredGSConfig
    size: int
    std: float

    @nn.compact
    def __call__(self, pooled: Float[Array, "M h w C"]) -> Float[Array, "M h w outputs"]:
        """N x `size` raw values of each frame, shared evenly among its h x w cells."""
        per_cell = _per_cell(self.config, *pooled.shape[1:3])
        x = pooled
        for layer in range(2):
            x = nn.gelu(nn.Conv(self.config.hidden, (3, 3), name=f"hidden{layer}")(x))
        return nn.Dense(per_cell * self.size, kernel_init=output_init(self.std), name="out")(x)


def output_init(std: float) -> nn.initializers.Initializer:
    """Of a head's output kernel: `PredGSConfig.head_std`."""
    return nn.initializers.normal(std) if std else nn.linear.default_kernel_init


def _per_cell(config: PredGSConfig, rows: int, columns: int) -> int:
    per_cell, rest = divmod(config.num_gaussians, rows * columns)
    if rest:
        raise ValueError(
            f"predgs.num_gaussians={config.num_gaussians}: heads='conv' emits the same number from "
            f"each of the {rows} x {columns} pooled cells; expected a multiple of {rows * columns}"
        )
    return per_cell


def _in_cells(config: PredGSConfig, rows: int, columns: int) -> Array:
    """(N, 2): a grid in each cell, in the order in which `ConvHead` emits the Gaussians."""
    inner = position_init.grid(_per_cell(config, rows, columns), 1, 1)
    y, x = jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij")
    corner = jnp.stack([x, y], axis=-1).reshape(-1, 1, 2)
    size = jnp.asarray([columns, rows], jnp.float32).reshape(1, 1, 2)
    return ((corner + (inner[None] + 1) / 2) / size * 2 - 1).reshape(-1, 2)


class RunningStandardize(nn.Module):
    """(x - mean) / std, each position by itself, with running statistics even in training.

    A batch's own statistics would change from batch to batch by more than the signal, because the
    frames of a few clips are so alike. The statistics average the first batches and then decay.
    """

    momentum: float = 0.99
    epsilon: float = 1e-4  # (1/100 of the range [0, 1])^2: a constant background stays small

    @nn.compact
    def __call__(self, x: Float[Array, " M *S"], *, train: bool) -> Float[Array, " M *S"]:
        """Standardises each position of S over M."""
        mean = self.variable("batch_stats", "mean", jnp.zeros, x.shape[1:])
        square = self.variable("batch_stats", "square", jnp.ones, x.shape[1:])
        count = self.variable("batch_stats", "count", jnp.zeros, ())
        if train and not self.is_initializing():
            seen = jax.lax.stop_gradient(x)
            keep = jnp.minimum(self.momentum, count.value / (count.value + 1))
            newest = mean_over_devices(jnp.mean(seen, axis=0))
            newest_square = mean_over_devices(jnp.mean(jnp.square(seen), axis=0))
            mean.value = keep * mean.value + (1 - keep) * newest
            square.value = keep * square.value + (1 - keep) * newest_square
            count.value = count.value + 1
        variance = jnp.maximum(square.value - jnp.square(mean.value), 0)
        return (x - mean.value[None]) * jax.lax.rsqrt(variance[None] + self.epsilon)
