"""The logits that FVD compares, of clips of any size."""

import math
import os
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import Partial
from jaxtyping import Float

from pdr_jax.metrics.i3d.network import I3D, SHORTEST
from pdr_jax.metrics.i3d.weights import expected_arrays, variables
from pdr_jax.metrics.perceptual.weights import read

SIDE = 224

_RECIPE = (
    "FVD's I3D is i3d_pretrained_400.pt, or rgb_imagenet.pt of pytorch-i3d, whose distances "
    "compare with none of the former: state dicts with Mixed_3b.b0.conv3d.weight and so on. A "
    "TorchScript file is no state dict: where PyTorch is installed, try "
    'state = torch.jit.load("i3d_torchscript.pt").state_dict(); '
    'numpy.savez("i3d.npz", **{name: array.numpy() for name, array in state.items()})'
)


def load_fvd(path: str | os.PathLike[str]) -> Partial:
    """Reads trained weights and returns the features of FVD, for `metrics.Frechet`.

    Args:
      path: a state dict of pytorch-i3d's `InceptionI3d(400)` (.pt, needs PyTorch), or an .npz of
        the same arrays.

    Raises:
      FileNotFoundError: no such file; the message says which one is meant.
      ImportError: a .pt where PyTorch is not installed.
      ValueError: an array is missing or has another shape.
    """
    arrays = read(path, expected_arrays(), _RECIPE)
    return Partial(_features, jax.tree.map(jnp.asarray, variables(arrays)))


def logits(trained: Any, clips: Float[Array, "B T H W C"]) -> Float[Array, "B 400"]:
    """I3D's logits of clips in [0, 1], one clip at a time.

    Args:
      trained: variables of `I3D`.
      clips: grey (C = 1, repeated to three channels) or RGB.

    Raises:
      ValueError: C other than 1 or 3, or too few frames.
    """
    length, channels = clips.shape[1], clips.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"clips have {channels} channels; FVD takes 1 (grey) or 3 (RGB)")
    if length < SHORTEST:
        raise ValueError(
            f"clips have {length} frames, observed ones included; FVD takes {SHORTEST} or more"
        )

    def of_clip(clip: Array) -> Any:
        frames = jnp.broadcast_to(resized(clip), (*clip.shape[:1], SIDE, SIDE, 3))
        return I3D().apply(trained, 2 * frames[None] - 1)[0]

    return jax.lax.map(of_clip, clips)


def resized(clip: Float[Array, "T H W C"]) -> Float[Array, "T 224 224 C"]:
    """Bilinear to 224 pixels on the shorter side, then the middle of the longer one.

    Nothing is smoothed where a frame shrinks, as in PyTorch's interpolation.
    """
    length, height, width, channels = clip.shape
    side = min(height, width)
    size = tuple(math.ceil(SIDE * extent / side) for extent in (height, width))
    clip = jax.image.resize(clip, (length, *size, channels), "bilinear", antialias=False)
    top, left = ((extent - SIDE) // 2 for extent in size)
    return clip[:, top : top + SIDE, left : left + SIDE]


def _features(trained: Any, clips: Array) -> Array:
    """(B, T, H, W, C) in [0, 1] -> (B, 1, 400)."""
    return logits(trained, clips)[:, None]
