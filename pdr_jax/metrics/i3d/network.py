"""Inception-I3D: GoogLeNet with every filter inflated over time.

Carreira and Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017, figure 3. Names of modules are
those of pytorch-i3d, whose arrays are read (`weights`).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

Clips = Float[Array, "B T H W C"]
Activations = Float[Array, "B t h w c"]

MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Widths of the branches: 1; 1 and 3; 1 and 3; 1 after pooling (sides of their kernels)."""

POOLED = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Kernel and stride of the pooling before a module."""

SHORTEST = 9
"""Frames of a clip that leave the two at the end that the last pooling takes."""


class Unit(nn.Module):
    """Convolution, normalisation by running statistics, ReLU.

    Attributes:
      width: channels of the output.
      kernel: side of the kernel, in time as in space.
      stride: likewise.
    """

    width: int
    kernel: int = 1
    stride: int = 1

    @nn.compact
    def __call__(self, x: Clips) -> Activations:
        """(B, T, H, W, C) -> (B, t, h, w, width), padded as TensorFlow's "SAME"."""
        x = nn.Conv(
            self.width,
            (self.kernel,) * 3,
            (self.stride,) * 3,
            use_bias=False,
            precision=jax.lax.Precision.HIGHEST,
            name="conv3d",
        )(x)
        x = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")(x)
        return nn.relu(x)


class Mixed(nn.Module):
    """An Inception module: four branches side by side.

    Attributes:
      widths: of `MIXED`.
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Clips) -> Activations:
        """(B, T, H, W, C) -> (B, T, H, W, widths 0 + 2 + 4 + 5)."""
        w = self.widths
        pooled = nn.max_pool(x, (3, 3, 3), (1, 1, 1), "SAME")
        branches = (
            Unit(w[0], name="b0")(x),
            Unit(w[2], 3, name="b1b")(Unit(w[1], name="b1a")(x)),
            Unit(w[4], 3, name="b2b")(Unit(w[3], name="b2a")(x)),
            Unit(w[5], name="b3b")(pooled),
        )
        return jnp.concatenate(branches, axis=-1)


class I3D(nn.Module):
    """The network up to its logits.

    Attributes:
      classes: of the training.
    """

    classes: int = 400

    def setup(self) -> None:
        """Declares the layers."""
        self.Conv3d_1a_7x7 = Unit(64, 7, 2)
        self.Conv3d_2b_1x1 = Unit(64)
        self.Conv3d_2c_3x3 = Unit(192, 3)
        self.mixed = [Mixed(widths, name=name) for name, widths in MIXED.items()]
        self.logits = nn.Conv(self.classes, (1, 1, 1), precision=jax.lax.Precision.HIGHEST)

    def __call__(self, clips: Clips) -> Float[Array, "B classes"]:
        """Logits of clips of 224x224 RGB frames in [-1, 1], their mean over time.

        Args:
          clips: of `SHORTEST` frames or more.
        """
        return self.head(self.trunk(clips))

    def trunk(self, clips: Clips) -> Activations:
        """Activations of the last Inception module: (B, T, H, W, 3) -> (B, T/8, H/32, W/32, 1024).

        Sizes are rounded up.
        """
        x = self.Conv3d_1a_7x7(clips)
        x = nn.max_pool(x, (1, 3, 3), (1, 2, 2), "SAME")
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        for name, module in zip(MIXED, self.mixed, strict=True):
            if name in POOLED:
                x = nn.max_pool(x, *POOLED[name], "SAME")
            x = module(x)
        return x

    def head(self, features: Activations) -> Float[Array, "B classes"]:
        """Logits of activations (B, t, 7, 7, 1024), averaged over space and time."""
        x = nn.avg_pool(features, (2, 7, 7))
        return self.logits(x).mean((1, 2, 3))
