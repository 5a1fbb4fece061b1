"""PDR: predictor + PredGS + renderer + fusion, end to end (arXiv 2606.31050).

The path of a clip:

    observed frames --backbone--> coarse frames --PredGS--> Gaussians --splat2d--> rendered frames
    prediction = fuse(coarse frames, rendered frames)
"""

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Float

from pdr_jax.arrays import AnyArray
from pdr_jax.backbones.base import ClipPredictor, Forcing
from pdr_jax.gaussians import Gaussians2D


class PDROutput(struct.PyTreeNode):
    """Everything between the observed frames and the prediction.

    Attributes:
      prediction: fused frames.
      coarse: the backbone's frames.
      rendered: the Gaussians drawn; None without adapter.
      gaussians: Gaussians2D with leading dimensions (B, horizon); None without adapter.
    """

    prediction: Float[Array, "B horizon H W C"]
    coarse: Float[Array, "B horizon H W C"]
    rendered: Float[Array, "B horizon H W C"] | None = None
    gaussians: Gaussians2D | None = None


class PDR(nn.Module):
    """A pixel-space predictor, with a differentiable renderer behind it or without.

    Attributes:
      backbone: a module called as backbone(frames, horizon, train=train), see `pdr_jax.backbones`.
      adapter: a module called as adapter(coarse, observed=frames, train=train) -> Gaussians2D, such
        as `pdr_jax.predgs.PredGS`. None leaves exactly the plain predictor.
      fusion: "conv", a 1x1 convolution of coarse and rendered frames concatenated (the paper);
        "add", their sum; "none", the rendered frames alone.
      fusion_init: "random", a convolution's usual start (our reading of the paper); or
        "pass_through", coarse + rendered / 10: training starts near the plain predictor and still
        sends gradients to the heads.
      implementation: of the renderer, see `pallas_kernels.splat2d`.

    Raises:
      ValueError: when applied, a `fusion` or `fusion_init` other than these.
    """

    backbone: nn.Module
    adapter: nn.Module | None = None
    fusion: Literal["conv", "add", "none"] = "conv"
    fusion_init: Literal["random", "pass_through"] = "random"
    implementation: str | None = None

    def setup(self) -> None:
        """Checks the fusion and declares its 1x1 convolution."""
        if self.fusion not in ("conv", "add", "none"):
            raise ValueError(f"fusion={self.fusion!r}: expected 'conv', 'add' or 'none'")
        if self.fusion_init not in _FUSION_INITS:
            raise ValueError(
                f"fusion_init={self.fusion_init!r}: expected one of {', '.join(_FUSION_INITS)}"
            )
        if self.adapter is not None and self.fusion == "conv":
            self.fuse_conv = _FuseConv(_FUSION_INITS[self.fusion_init])

    def __call__(
        self,
        frames: Float[AnyArray, "B T H W C"],
        horizon: int | None = None,
        *,
        train: bool = False,
        forcing: Forcing | None = None,
    ) -> Float[Array, "B horizon H W C"]:
        """Predicts `horizon` frames (T by default); arguments and errors as in `decompose`."""
        return self.decompose(frames, horizon, train=train, forcing=forcing).prediction

    def decompose(
        self,
        frames: Float[AnyArray, "B T H W C"],
        horizon: int | None = None,
        *,
        train: bool = False,
        forcing: Forcing | None = None,
    ) -> PDROutput:
        """Predicts, and returns the intermediate frames and the Gaussians as well.

        Use as `module.apply(variables, frames, method="decompose")`.

        Args:
          frames: the observed frames, in model units.
          horizon: frames to predict; T by default.
          train: training mode (dropout, batch statistics).
          forcing: true frames that the backbone sees in training, if it predicts frame by frame.

        Raises:
          ValueError: `forcing` for a backbone that predicts a whole clip at once, or what the
            backbone refuses.
        """
        if forcing is not None and isinstance(self.backbone, ClipPredictor):
            raise ValueError(
                f"forcing: expected None, for {type(self.backbone).__name__} predicts a whole clip "
                "at once and never sees future frames (train_step: sampling=None)"
            )
        forced = {} if forcing is None else {"forcing": forcing}
        coarse = self.backbone(frames, horizon, train=train, **forced).astype(jnp.float32)
        if self.adapter is None:
            return PDROutput(prediction=coarse, coarse=coarse)
        gaussians = self.adapter(coarse, observed=frames, train=train)
        rendered = gaussians.render(implementation=self.implementation)
        return PDROutput(self.fuse(coarse, rendered), coarse, rendered, gaussians)

    def fuse(
        self, coarse: Float[Array, "*B H W C"], rendered: Float[Array, "*B H W C"]
    ) -> Float[Array, "*B H W C"]:
        """The prediction, from coarse and rendered frames."""
        if self.fusion == "add":
            return coarse + rendered
        if self.fusion == "none":
            return rendered
        return self.fuse_conv(coarse, rendered)


class _FuseConv(nn.Module):
    """Conv1x1(concat(coarse, rendered)), the 1x1 convolution being a dense layer over channels."""

    kernel_init: Callable[..., Array]

    @nn.compact
    def __call__(self, coarse: Array, rendered: Array) -> Array:
        both = jnp.concatenate([coarse, rendered], axis=-1)
        return nn.Dense(coarse.shape[-1], kernel_init=self.kernel_init, name="conv")(both)


def _pass_through(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    eye = jnp.eye(shape[1], dtype=dtype)
    return jnp.concatenate([eye, 0.1 * eye])


_FUSION_INITS: dict[str, Callable[..., Array]] = {
    "random": nn.initializers.lecun_normal(),
    "pass_through": _pass_through,
}
