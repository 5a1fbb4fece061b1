"""PredGS: the adapter that turns each coarse frame into N 2D Gaussians (paper, section PredGS).

A backbone predicts coarse frames X~; PredGS describes each of them by N Gaussians, which
`pallas_kernels.splat2d` draws as the rendered frame Y (see `pdr_jax.pdr`). For a frame (H, W, C):

    average-pool by D                            (H / D, W / D, C)
    four independent heads, one hidden layer     raw position, scale, rotation, amplitude
    mu    = tanh(raw + start)                    (N, 2) in [-1, 1]
    s     = sigmoid(raw)                         (N, 2) in (0, 1)
    theta = pi/2 tanh(raw)                       (N,)
    a     = sigmoid(raw)                         (N, C) in (0, 1)

`start` is a learned position for each Gaussian, initialised from a pattern
(`pdr_jax.position_init`). The units of mu and s, and the activations, are in `pdr_jax.gaussians`.

Taken literally, this recipe tends to draw the same picture for every input, because pooled frames
of different clips differ little compared with their mean. `PRESETS` has the paper's settings and
three others that learn. They change fields of `PredGSConfig`: small output kernels
at the start, standardised input, signed amplitudes, a smallest scale, or convolutional heads that
see a part of the frame each. experiments/README.md measures what they do.
"""

import dataclasses
import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jax import Array
from jaxtyping import Float

from pdr_jax import position_init
from pdr_jax.arrays import AnyArray
from pdr_jax.gaussians import AMPLITUDES, Gaussians2D, activate_rotation, activate_scale


@dataclasses.dataclass(frozen=True)
class PredGSConfig:
    """Every choice of the adapter. The defaults are the paper's, or our reading of it.

    Attributes:
      num_gaussians: N, Gaussians a frame. With heads="conv" a multiple of the pooled cells, to
        which a recipe rounds it up.
      window: K, odd; a Gaussian is drawn within K x K pixels, and its largest standard deviation
        is (K - 1) / 10 pixels.
      pool: D, the factor of the average pooling; it divides the frame's height and width.
      heads: "mlp" (the paper) sees the whole frame, flattened. "conv" has each pooled cell emit its
        own Gaussians from the 5 x 5 cells around it.
      hidden: width of each head's hidden layer; for "conv" the channels of both hidden layers.
      head_std: standard deviation of the heads' output kernels at the start. 0 is Flax's default,
        which draws noise at first if the input is of unit scale.
      standardize: whether pooled inputs are standardised by running statistics, cell by cell.
      position_init: the pattern from which positions start, see `pdr_jax.position_init`.
      position_reach: how far a position can move from its learned start, in units of the mean
        spacing of N Gaussians. 0 (the paper) lets it move over the whole frame.
      scale_start: the raw values of the two scales at the start, before the sigmoid. Choose unequal
        ones: rotation has no gradient while both scales are equal.
      min_sigma: smallest standard deviation in pixels.
      amplitude: "sigmoid" (the paper) or "linear" (signed).
      amplitude_start: the raw amplitude at the start, before the activation.

    Raises:
      ValueError: a value out of range, or two that exclude each other.
    """

    num_gaussians: int = 400
    window: int = 51
    pool: int = 8
    heads: Literal["mlp", "conv"] = "mlp"
    hidden: int = 128
    head_std: float = 0.0
    standardize: bool = False
    position_init: Literal["grid", "grid_edges", "harris", "brightest", "random", "none"] = (
        "grid_edges"
    )
    position_reach: float = 0.0
    scale_start: tuple[float, float] = (0.0, 0.0)
    min_sigma: float = 0.0
    amplitude: Literal["sigmoid", "linear"] = "sigmoid"
    amplitude_start: float = 0.0

    def __post_init__(self) -> None:
        for name, low in (("num_gaussians", 1), ("pool", 1), ("hidden", 1), ("window", 3)):
            if getattr(self, name) < low:
                raise ValueError(f"{name}={getattr(self, name)}: expected {low} or more")
        if self.window % 2 == 0:
            raise ValueError(f"window={self.window}: expected an odd number of pixels")
        for name in ("head_std", "position_reach", "min_sigma"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected 0 or more")
        largest = (self.window - 1) / 10
        if self.min_sigma >= largest:
            raise ValueError(
                f"min_sigma={self.min_sigma}: expected less than the largest standard deviation, "
                f"{largest} pixels for window={self.window}"
            )
        for name, valid in (("position_init", position_init.PATTERNS), ("amplitude", AMPLITUDES)):
            if getattr(self, name) not in valid:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: expected one of {', '.join(valid)}"
                )
        if self.heads not in ("mlp", "conv"):
            raise ValueError(f"heads={self.heads!r}: expected 'mlp' or 'conv'")
        if self.heads == "conv" and self.position_init not in ("grid", "grid_edges"):
            raise ValueError(
                f"position_init={self.position_init!r}: heads='conv' ties each Gaussian to a cell, "
                "so it needs 'grid' or 'grid_edges'"
            )


_ROBUST = {
    "head_std": 0.005,
    "standardize": True,
    "position_init": "grid",
    "scale_start": (0.3, -0.3),
    "min_sigma": 0.3,
    "amplitude": "linear",
    "amplitude_start": 0.05,
}
PRESETS: dict[str, dict] = {
    "paper": {},
    "robust": _ROBUST,
    "robust_offset": {**_ROBUST, "position_reach": 1.0},
    "conv": {**_ROBUST, "heads": "conv", "hidden": 32, "position_reach": 1.0},
}
"""What each preset changes in the defaults of `PredGSConfig`."""


def create(preset: str, **overrides: object) -> PredGSConfig:
    """The configuration of a preset (a key of `PRESETS`) with some fields overridden.

    Raises:
      ValueError: an unknown preset or field, or a value out of range.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset={preset!r}: expected one of {', '.join(PRESETS)}")
    fields = [field.name for field in dataclasses.fields(PredGSConfig)]
    for name in overrides:
        if name not in fields:
            raise ValueError(f"{name!r} is no field of PredGS; expected one of {', '.join(fields)}")
    return PredGSConfig(**{**PRESETS[preset], **overrides})


class PredGS(nn.Module):
    """Coarse frames (B, T, H, W, C) to Gaussians2D with leading dimensions (B, T).

    Apply it with train=True and mutable=["batch_stats"] to update the running statistics.
    """

    config: PredGSConfig = PredGSConfig()

    @nn.compact
    def __call__(
        self,
        coarse: Float[AnyArray, "B T H W C"],
        *,
        observed: Float[AnyArray, "*B2 H W C"] | None = None,
        train: bool = False,
    ) -> Gaussians2D:
        """Describes each frame by N Gaussians.

        Args:
          coarse: the frames of any backbone.
          observed: frames whose corners or bright pixels place the Gaussians at initialisation; the
            coarse frames by default. Not used afterwards.
          train: whether running statistics are updated.

        Returns:
          Gaussians2D with leading dimensions (B, T), float32 whatever the dtype of `coarse`:
          bfloat16 would put a position a pixel off.

        Raises:
          ValueError: `pool` does not divide H and W, or heads="conv" cannot share N evenly among
            the pooled cells.
        """
        config = self.config
        batch, time, height, width, channels = coarse.shape
        if height % config.pool or width % config.pool:
            raise ValueError(
                f"pool={config.pool}: expected a divisor of the frame's height {height} "
                f"and width {width}"
            )
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
        return nn.Dense(size, kernel_init=_out_init(self.std), name="out")(nn.gelu(x))


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
        return nn.Dense(per_cell * self.size, kernel_init=_out_init(self.std), name="out")(x)


def _out_init(std: float) -> nn.initializers.Initializer:
    return nn.initializers.normal(std) if std else nn.linear.default_kernel_init


def _per_cell(config: PredGSConfig, rows: int, columns: int) -> int:
    per_cell, rest = divmod(config.num_gaussians, rows * columns)
    if rest:
        raise ValueError(
            f"num_gaussians={config.num_gaussians}: heads='conv' emits the same number from each "
            f"of the {rows} x {columns} pooled cells; expected a multiple of {rows * columns}"
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
            mean.value = keep * mean.value + (1 - keep) * jnp.mean(seen, axis=0)
            square.value = keep * square.value + (1 - keep) * jnp.mean(jnp.square(seen), axis=0)
            count.value = count.value + 1
        variance = jnp.maximum(square.value - jnp.square(mean.value), 0)
        return (x - mean.value[None]) * jax.lax.rsqrt(variance[None] + self.epsilon)
