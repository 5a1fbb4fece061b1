"""PredGS that moves Gaussians anchored to the last observed frame. Ours, not the paper's.

The Gaussians that reproduce the last observed frame x_T exactly (`pdr_jax.predgs.anchors`) are
carried along, so detail is moved rather than drawn anew, and each keeps its identity: Gaussian i of
frame k is Gaussian i of frame k + 1. For the frames k = 1 ... T':

    velocity      v = v0 + speed tanh(head(h))         v0 by block matching of x_T and x_T-1
    displacement  k v + drift k tanh(raw_k)            bounded smoothly at half the frame
    scales        sigma exp(stretch tanh(raw_k))
    rotation      pi/2 tanh(raw_k)
    amplitude     that of the anchor + raw_k
    weight        exp(weighting tanh(raw_k))

h is made from the observed frames once a clip; raw_k from h and the coarse frame c_k. All heads
start near zero, so training starts from the matched motion.

What it cannot show, because the last frame does not: what comes out from behind something, what
enters, changes of light that `amplitude` cannot follow, a cut. There the coverage or the gate
(`pdr_jax.fusion`) leaves the coarse frame.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray, lead_times
from pdr_jax.gaussians import Gaussians2D, activate_rotation
from pdr_jax.predgs.anchors import Grid
from pdr_jax.predgs.config import PredGSConfig
from pdr_jax.predgs.matching import expected_velocity, mismatch
from pdr_jax.predgs.redrawn import output_init

OLDER = 0.1
"""Weight of an anchor frame at the start, relative to the frame after it."""


class Tracked(nn.Module):
    """Observed and coarse frames to Gaussians2D with identities over time: see `PredGS`."""

    config: PredGSConfig

    @nn.compact
    def __call__(
        self,
        coarse: Float[AnyArray, "B horizon H W C"],
        *,
        observed: Float[AnyArray, "B T H W C"] | None = None,
        train: bool = False,
    ) -> Gaussians2D:
        """Moves the Gaussians of the last observed frames: see `PredGS`."""
        del train
        if observed is None:
            raise ValueError(
                "observed=None: heads='tracked' carries the last observed frames on; give the "
                "frames (B, T, H, W, C) from which the coarse frames were predicted"
            )
        config, tracking = self.config, self.config.tracking
        batch, horizon, height, width, _ = coarse.shape
        coarse = jnp.asarray(coarse, jnp.float32)
        last = _last_frames(jnp.asarray(observed, jnp.float32), tracking.anchors + 2)
        # The anchor frames go along the batch axis, as clips of their own.
        now, before, earlier = (jnp.concatenate(last[i : i + tracking.anchors]) for i in range(3))
        grid = Grid(height, width, tracking.spacing, tracking.sigma, config.window)
        velocity, context = Motion(config, grid, name="motion")(now, before, earlier)
        coarse = jnp.tile(coarse, (tracking.anchors, 1, 1, 1, 1))
        raw = Changes(config, grid, name="changes")(coarse, now, context)

        anchor = jnp.repeat(jnp.arange(tracking.anchors), batch).reshape(-1, 1, 1, 1, 1)
        age = anchor + jnp.arange(1.0, horizon + 1).reshape(1, -1, 1, 1, 1)  # in frames
        moved = age * (velocity[:, None] + tracking.drift * jnp.tanh(raw["position"]))
        bound = jnp.asarray([width / 2, height / 2]).reshape(1, 1, 1, 1, 2)
        mean = jnp.asarray(grid.centres())[None, None] + bound * jnp.tanh(moved / bound)
        scale = grid.pixels * jnp.exp(tracking.stretch * jnp.tanh(raw["scale"]))
        rotation = activate_rotation(raw["rotation"][..., 0])
        at_rest = grid.amplitudes(now, normalised=tracking.normalised)
        amplitude = at_rest[:, None] + raw["amplitude"]
        weight = None
        if tracking.normalised:
            share = OLDER**anchor / sum(OLDER**i for i in range(tracking.anchors))
            weight = (share * jnp.exp(tracking.weighting * jnp.tanh(raw["weight"])))[..., 0]

        def together(x: Array) -> Array:
            """(anchors B, horizon, rows, columns, ...) -> (B, horizon, N, ...)."""
            x = x.reshape(tracking.anchors, batch, horizon, -1, *x.shape[4:])
            return jnp.moveaxis(x, 0, 2).reshape(batch, horizon, -1, *x.shape[4:])

        return Gaussians2D.from_pixels(
            together(mean),
            together(scale),
            together(rotation),
            together(amplitude),
            height=height,
            width=width,
            window=config.window,
            weight=None if weight is None else together(weight),
            full=grid.full,
        )


class Motion(nn.Module):
    """The velocity of each Gaussian of an anchor frame, and what else its motion shows."""

    config: PredGSConfig
    grid: Grid

    @nn.compact
    def __call__(
        self,
        now: Float[Array, "M H W C"],
        before: Float[Array, "M H W C"],
        earlier: Float[Array, "M H W C"],
    ) -> tuple[Float[Array, "M rows columns 2"], Float[Array, "M h w D"]]:
        """Velocities in pixels a frame, and features on cells of `pool` x `pool` pixels."""
        config, tracking = self.config, self.config.tracking
        features = [now, now - before, before - earlier]
        velocity = jnp.zeros((*now.shape[:3], 2))
        if tracking.search:
            cost = mismatch(now, before, radius=tracking.search, patch=tracking.patch)
            sharpness, slowness = (
                jnp.exp(self.param(name, nn.initializers.constant(math.log(start)), ()))
                for name, start in (("sharpness", 10.0), ("slowness", 0.03))
            )
            velocity = expected_velocity(cost, sharpness, slowness, tracking.search)
            features += [velocity / tracking.search, cost.min(-1, keepdims=True)]
        x = jnp.concatenate(features, axis=-1)
        stride = (config.pool, config.pool)
        x = nn.gelu(nn.Conv(config.hidden, (5, 5), stride, name="hidden0")(x))
        x = x + nn.gelu(nn.Conv(config.hidden, (3, 3), name="hidden1")(x))
        x = nn.gelu(nn.Conv(config.hidden, (3, 3), name="hidden2")(x))
        small = output_init(config.head_std)
        correction = nn.Conv(2, (3, 3), kernel_init=small, name="velocity")(x)
        velocity = _on_grid(velocity, self.grid)
        return velocity + tracking.speed * jnp.tanh(_on_grid(correction, self.grid)), x


class Changes(nn.Module):
    """What changes of each Gaussian from frame to frame, before the activations."""

    config: PredGSConfig
    grid: Grid

    @nn.compact
    def __call__(
        self,
        coarse: Float[Array, "M horizon H W C"],
        now: Float[Array, "M H W C"],
        context: Float[Array, "M h w D"],
    ) -> dict[str, Float[Array, "M horizon rows columns _"]]:
        """Raw values by head; those that the configuration holds still are 0."""
        config, tracking = self.config, self.config.tracking
        clips, horizon, *_, channels = coarse.shape
        outputs = {"position": 2, "scale": 2, "rotation": 1, "amplitude": channels, "weight": 1}
        used = {
            "position": tracking.drift > 0,
            "scale": tracking.stretch > 0,
            "rotation": tracking.stretch > 0,  # turning a circle changes nothing
            "amplitude": tracking.recolour,
            "weight": tracking.weighting > 0,
        }
        still = (clips, horizon, *self.grid.shape)
        raw = {name: jnp.zeros((*still, number)) for name, number in outputs.items()}
        if not any(used.values()):
            return raw
        frames = coarse.reshape(-1, *coarse.shape[2:])
        frames = jnp.concatenate([frames, frames - jnp.repeat(now, horizon, axis=0)], axis=-1)
        size = (config.pool, config.pool)
        x = nn.avg_pool(frames, size, size, padding="SAME", count_include_pad=False)
        time = jnp.tile(lead_times(horizon), clips).reshape(-1, 1, 1, 1)
        x = jnp.concatenate([x, jnp.broadcast_to(time, (*x.shape[:3], 1))], axis=-1)
        x = nn.Conv(config.hidden, (3, 3), name="hidden0")(x)
        known = nn.Dense(config.hidden, use_bias=False, name="context")(context)
        x = nn.gelu(x + jnp.repeat(known, horizon, axis=0))
        x = nn.gelu(nn.Conv(config.hidden, (3, 3), name="hidden1")(x))
        small = output_init(config.head_std)

        for name in (name for name in outputs if used[name]):
            out = nn.Conv(outputs[name], (3, 3), kernel_init=small, name=name)(x)
            raw[name] = _on_grid(out, self.grid).reshape(*still, outputs[name])
        return raw


def _last_frames(observed: Array, count: int) -> list[Array]:
    """The last frames of clips, the last first; the first frame stands for those before it."""
    return [observed[:, max(observed.shape[1] - 1 - i, 0)] for i in range(count)]


def _on_grid(x: Array, grid: Grid) -> Array:
    """A map (M, h, w, D) of the whole frame at the Gaussians of the grid, (M, rows, columns, D)."""
    shape = (x.shape[0], *grid.shape, x.shape[-1])
    return jax.image.resize(x, shape, "linear", antialias=False)
