"""Pixels to channels and back."""

from einops import rearrange
from jax import Array


def patchify(x: Array, size: int) -> Array:
    """(..., H, W, C) -> (..., H / size, W / size, size * size * C); channels hold (row, column, C).

    The order of PredRNN's reshape_patch, and of PredFormer.
    """
    return rearrange(x, "... (h p) (w q) c -> ... h w (p q c)", p=size, q=size)


def unpatchify(x: Array, size: int) -> Array:
    """The inverse: (..., H, W, size * size * C) -> (..., H * size, W * size, C).

    PyTorch's PixelShuffle orders the channels (C, row, column) instead; this order moves whole
    channel vectors. `pdr_jax.interop` permutes imported kernels.
    """
    return rearrange(x, "... h w (p q c) -> ... (h p) (w q) c", p=size, q=size)
