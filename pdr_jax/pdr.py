"""PDR: predictor + PredGS + renderer + fusion, end to end (arXiv 2606.31050).

The path of a clip:

    observed frames --backbone--> coarse frames --PredGS--> Gaussians --splat2d--> rendered frames
    prediction = fuse(coarse frames, rendered frames)

With a residual module behind it, a sample is prediction + a residual drawn.
"""

import functools
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.backbones.base import ClipPredictor, Forcing
from pdr_jax.fusion import CONV_INITS, ConvFusion, Fused, GatedFusion
from pdr_jax.gaussians import Gaussians2D
from pdr_jax.sharding import on_own_clips


class PDROutput(struct.PyTreeNode):
    """Everything between the observed frames and the prediction.

    Attributes:
      prediction: fused frames; of a sample, with the residual.
      coarse: the backbone's frames.
      rendered: the Gaussians drawn; None without adapter.
      gaussians: Gaussians2D with leading dimensions (B, horizon); None without adapter.
      coverage: how densely the Gaussians cover each pixel, see `pdr_jax.gaussians.Drawn`; None for
        Gaussians without weights.
      gate: the rendered frames' share in the prediction, in [0, 1]; None without gated fusion.
      residual: what was drawn and added to the fused frames; None where nothing was drawn.
    """

    prediction: Float[Array, "B horizon H W C"]
    coarse: Float[Array, "B horizon H W C"]
    rendered: Float[Array, "B horizon H W C"] | None = None
    gaussians: Gaussians2D | None = None
    coverage: Float[Array, "B horizon H W 1"] | None = None
    gate: Float[Array, "B horizon H W C"] | None = None
    residual: Float[Array, "B horizon H W C"] | None = None


class PDR(nn.Module):
    """A pixel-space predictor, with a differentiable renderer behind it or without.

    Attributes:
      backbone: a module called as backbone(frames, horizon, train=train), see `pdr_jax.backbones`.
      adapter: a module called as adapter(coarse, observed=frames, train=train) -> Gaussians2D, such
        as `pdr_jax.predgs.PredGS`. None leaves exactly the plain predictor.
      fusion: "conv", a 1x1 convolution of coarse and rendered frames concatenated (the paper);
        "gate", a learned share for each pixel (`pdr_jax.fusion.GatedFusion`); "add", their sum;
        "none", the rendered frames alone. None takes the adapter's own, its attribute `fusion`,
        and "conv" if it has none.
      fusion_init: of "conv": "random", a convolution's usual start (our reading of the paper); or
        "pass_through", coarse + rendered / 10: training starts near the plain predictor and still
        sends gradients to the heads.
      gate_start: of "gate": at first the coarse frame's part is `gate_start` times the rendered's.
      implementation: of the renderer, see `pallas_kernels.splat2d`.
      residual: a module with the methods learn(prediction, observed, target, train=train) and
        sample(prediction, observed), such as `pdr_jax.diffusion.ResidualDiffusion`. None predicts
        one future only.
      frozen: whether training leaves all but the residual module as it is: in evaluation mode,
        without gradients.

    Raises:
      ValueError: when applied, a `fusion` or `fusion_init` other than these, or
        `gate_start` not positive.
    """

    backbone: nn.Module
    adapter: nn.Module | None = None
    fusion: Literal["conv", "gate", "add", "none"] | None = None
    fusion_init: Literal["random", "pass_through"] = "random"
    gate_start: float = 0.1
    implementation: str | None = None
    residual: nn.Module | None = None
    frozen: bool = False

    def setup(self) -> None:
        """Checks the fusion and declares its convolutions."""
        if self.fusion not in (None, "conv", "gate", "add", "none"):
            raise ValueError(f"fusion={self.fusion!r}: expected 'conv', 'gate', 'add' or 'none'")
        if self.fusion_init not in CONV_INITS:
            raise ValueError(
                f"fusion_init={self.fusion_init!r}: expected one of {', '.join(CONV_INITS)}"
            )
        if self.gate_start <= 0:
            raise ValueError(f"gate_start={self.gate_start}: expected more than 0")
        if self.adapter is not None and self._fusion == "conv":
            self.fuse_conv = ConvFusion(CONV_INITS[self.fusion_init])
        elif self.adapter is not None and self._fusion == "gate":
            self.fuse_gate = GatedFusion(self.gate_start)

    @property
    def probabilistic(self) -> bool:
        """Whether it can draw futures: one under each key of the stream "sample"."""
        return self.residual is not None

    @property
    def _fusion(self) -> str:
        return self.fusion or str(getattr(self.adapter, "fusion", "conv"))

    def __call__(
        self,
        frames: Float[AnyArray, "B T H W C"],
        horizon: int | None = None,
        *,
        train: bool = False,
        forcing: Forcing | None = None,
    ) -> Float[Array, "B horizon H W C"]:
        """Predicts `horizon` frames (T by default); arguments and errors as in `decompose`.

        With a residual module, module.apply(variables, frames, rngs={"sample": key}) draws a
        future, and without that key it is the deterministic predictor.
        """
        return self.decompose(frames, horizon, train=train, forcing=forcing).prediction

    def decompose(
        self,
        frames: Float[AnyArray, "B T H W C"],
        horizon: int | None = None,
        *,
        train: bool = False,
        forcing: Forcing | None = None,
        target: Float[AnyArray, "B horizon H W C"] | None = None,
    ) -> PDROutput:
        """Predicts, and returns the intermediate frames and the Gaussians as well.

        Use as `module.apply(variables, frames, method="decompose")`.

        Args:
          frames: the observed frames, in model units.
          horizon: frames to predict; T by default.
          train: training mode (dropout, batch statistics).
          forcing: true frames that the backbone sees in training, if it predicts frame by frame.
          target: the frames that followed, which the residual module learns from.

        Raises:
          ValueError: `forcing` for a backbone that predicts a whole clip at once, or what the
            backbone refuses.
        """
        if forcing is not None and isinstance(self.backbone, ClipPredictor):
            raise ValueError(
                f"forcing: expected None, for {type(self.backbone).__name__} predicts a whole clip "
                "at once and never sees future frames (train_step: sampling=None)"
            )
        if self.frozen:
            output = jax.lax.stop_gradient(self._deterministic(frames, horizon, False, None))
        else:
            output = self._deterministic(frames, horizon, train, forcing)
        if self.residual is None:
            return output
        with jax.named_scope("residual"):
            if target is not None or self.is_initializing():
                truth = output.prediction if target is None else target
                self.residual.learn(output.prediction, frames, truth, train=train)
            elif self.has_rng("sample"):
                drawn = self.residual.sample(output.prediction, frames)
                output = output.replace(prediction=output.prediction + drawn, residual=drawn)
        return output

    def _deterministic(
        self, frames: AnyArray, horizon: int | None, train: bool, forcing: Forcing | None
    ) -> PDROutput:
        forced = {} if forcing is None else {"forcing": forcing}
        coarse = self.backbone(frames, horizon, train=train, **forced).astype(jnp.float32)
        if self.adapter is None:
            return PDROutput(prediction=coarse, coarse=coarse)
        gaussians = self.adapter(coarse, observed=frames, train=train)
        with jax.named_scope("renderer"):
            draw = functools.partial(Gaussians2D.draw, implementation=self.implementation)
            rendered, coverage = on_own_clips(draw)(gaussians)
        with jax.named_scope("fusion"):
            prediction, gate = self.fuse(coarse, rendered, coverage)
        return PDROutput(prediction, coarse, rendered, gaussians, coverage, gate)

    def fuse(
        self,
        coarse: Float[Array, "B T H W C"],
        rendered: Float[Array, "B T H W C"],
        coverage: Float[Array, "B T H W 1"] | None = None,
    ) -> Fused:
        """The prediction, from coarse and rendered frames and the coverage of the latter."""
        if self._fusion == "add":
            return Fused(coarse + rendered)
        if self._fusion == "none":
            return Fused(rendered)
        fuse = self.fuse_conv if self._fusion == "conv" else self.fuse_gate
        return fuse(coarse, rendered, coverage)
