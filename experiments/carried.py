"""Controls of the tracked adapter: its motion, heads and gate, with something else that is moved.

"warp" takes each pixel of the prediction from where its motion came from (backward, bilinear);
"forward" puts each pixel of the last frame where its motion leads (bilinear, normalised). Whatever
tracked Gaussians gain over both is theirs.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from pallas_kernels.splat2d.normalized import SOFTNESS
from pdr_jax import PDR
from pdr_jax.gaussians import Drawn, Gaussians2D
from pdr_jax.predgs import PredGSConfig
from pdr_jax.predgs.anchors import Grid
from pdr_jax.predgs.tracked import Tracked
from pdr_jax.recipes import Recipe
from pdr_jax.warp import warp

How = Literal["warp", "forward"]


class Moved(Gaussians2D):
    """Gaussians in whose place frames are shown that moved as they do.

    Attributes:
      picture: the frames and their coverage.
    """

    picture: Drawn | None = None

    def draw(self, height: int | None = None, width: int | None = None, **options: Any) -> Drawn:
        """The moved frames, at the training resolution only."""
        del options
        assert height in (None, self.height)
        assert width in (None, self.width)
        assert self.picture is not None
        return self.picture


class Carried(nn.Module):
    """The tracked adapter, one Gaussian a pixel of one anchor, its Gaussians replaced by pixels."""

    config: PredGSConfig
    how: How

    @nn.compact
    def __call__(
        self, coarse: Array, *, observed: Array | None = None, train: bool = False
    ) -> Gaussians2D:
        """As `pdr_jax.predgs.PredGS`."""
        gaussians = Tracked(self.config, name="tracked")(coarse, observed=observed, train=train)
        assert observed is not None
        assert gaussians.weight is not None
        height, width, channels = coarse.shape[2:]
        tracking = self.config.tracking
        grid = Grid(height, width, tracking.spacing, tracking.sigma, self.config.window)
        shape = (-1, height, width)
        last = jnp.repeat(observed[:, -1], coarse.shape[1], axis=0)
        at_rest = grid.amplitudes(last, normalised=True)
        residual = gaussians.amplitude.reshape(*shape, channels) - at_rest
        place = gaussians.pixels()[0].reshape(*shape, 2)
        centres = jnp.asarray(grid.centres())[None]
        if self.how == "warp":
            frames = warp(last, centres - place) + residual
            coverage = jnp.ones_like(frames[..., :1])
        else:
            weight = gaussians.weight.reshape(*shape, 1)
            frames, coverage = _forward(last + residual, place, weight)
        picture = Drawn(frames.reshape(coarse.shape), coverage.reshape(*coarse.shape[:-1], 1))
        fields = {name: getattr(gaussians, name) for name in gaussians.__dataclass_fields__}
        return Moved(**fields, picture=picture)


def _forward(frames: Array, place: Array, weight: Array) -> tuple[Array, Array]:
    """Each pixel of (M, H, W, C) shared among the four around its place (M, H, W, 2)."""
    height, width, channels = frames.shape[1:]
    corner = jnp.floor(place)
    share = place - corner
    values = jnp.concatenate([weight * frames, weight], axis=-1)

    def one(values: Array, corner: Array, share: Array) -> Array:
        total = jnp.zeros((height, width, channels + 1))
        for down in (0, 1):
            for right in (0, 1):
                y = (share[..., 1] if down else 1 - share[..., 1])[..., None]
                x = (share[..., 0] if right else 1 - share[..., 0])[..., None]
                row, column = (corner[..., i].astype(jnp.int32) for i in (1, 0))
                inside = (row + down >= 0) & (column + right >= 0)  # negative indices would wrap
                part = jnp.where(inside[..., None], values * x * y, 0.0)
                total = total.at[row + down, column + right].add(part, mode="drop")
        return total

    total = jax.vmap(one)(values, corner, share)
    drawn, coverage = total[..., :-1], total[..., -1:]
    return (1 + SOFTNESS) * drawn / (coverage + SOFTNESS), coverage


def with_pixels(how: How) -> Any:
    """A model of `experiments.study.Arm` whose adapter moves pixels."""

    def build(recipe: Recipe, frame_shape: tuple[int, int, int]) -> PDR:
        model = recipe.build(frame_shape)
        return model.clone(adapter=Carried(recipe.predgs, how))

    return build
