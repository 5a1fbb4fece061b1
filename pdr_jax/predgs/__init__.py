"""PredGS: the adapter that turns coarse frames into 2D Gaussians (paper, section PredGS).

A backbone predicts coarse frames X~; PredGS describes each of them by N Gaussians, which
`pallas_kernels.splat2d` draws as the rendered frame Y (see `pdr_jax.pdr`). It does so in one of
three ways, which `PredGSConfig.heads` chooses:

* `redrawn` draws each coarse frame anew. This is the paper's way.
* `adaptive` places a budget of Gaussians by a predicted density. This is ours.
* `tracked` moves Gaussians that are anchored to the last observed frame. This is ours.

`PRESETS` has named configurations, README.md what is known of them.
"""

import flax.linen as nn
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.gaussians import Gaussians2D
from pdr_jax.predgs.adaptive import Adaptive
from pdr_jax.predgs.config import PRESETS, PredGSConfig, TrackingConfig, create
from pdr_jax.predgs.redrawn import Redrawn
from pdr_jax.predgs.tracked import Tracked

__all__ = ["PRESETS", "PredGS", "PredGSConfig", "TrackingConfig", "create"]


class PredGS(nn.Module):
    """Coarse frames (B, T', H, W, C) to Gaussians2D with leading dimensions (B, T').

    Apply it with train=True and mutable=["batch_stats"] to update the running statistics.
    """

    config: PredGSConfig = PredGSConfig()

    @property
    def fusion(self) -> str:
        """How `pdr_jax.pdr.PDR` fuses its frames by default: those of "tracked" have a coverage."""
        return "gate" if self.config.heads == "tracked" else "conv"

    def setup(self) -> None:
        """Chooses the heads, whose parameters are the adapter's own."""
        makes = {"tracked": Tracked, "adaptive": Adaptive}
        self.heads = makes.get(self.config.heads, Redrawn)(self.config)
        nn.share_scope(self, self.heads)

    def __call__(
        self,
        coarse: Float[AnyArray, "B horizon H W C"],
        *,
        observed: Float[AnyArray, "*B2 H W C"] | None = None,
        train: bool = False,
    ) -> Gaussians2D:
        """Describes each frame by N Gaussians.

        Args:
          coarse: the frames of any backbone.
          observed: the frames before them, (B, T, H, W, C), in the same units. "tracked" carries
            their last frames on; "adaptive" compares coarse frames with their last one. Otherwise
            they only place the Gaussians at initialisation, by their corners or bright pixels.
            Except with "tracked", the coarse frames stand in for them.
          train: whether running statistics are updated.

        Returns:
          Gaussians2D with leading dimensions (B, T'), float32 whatever the dtype of `coarse`:
          bfloat16 would put a position a pixel off.

        Raises:
          ValueError: `pool` does not divide H and W, heads="conv" cannot share N evenly among the
            pooled cells, or heads="tracked" has no observed frames.
        """
        return self.heads(coarse, observed=observed, train=train)
