"""Cuboids: the blocks of time, height and width that Earthformer's attention is confined to."""

import re
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax import Array

Size = tuple[int, ...]  # (frames, rows, columns)

PATTERNS = "full, axial, divided_st, video_swin, video_swin_PxM"
CROSS_PATTERNS = "cross_KxK"


class Cuboid(NamedTuple):
    """A way to cut a clip of tokens into equal blocks.

    Attributes:
      size: frames, rows and columns of a block.
      shift: tokens by which the blocks are moved along each axis, wrapping around.
    """

    size: Size
    shift: Size = (0, 0, 0)

    def within(self, clip: Size) -> "Cuboid":
        """This cuboid cropped to a clip; along an axis that one block spans it is not shifted."""
        axes = zip(self.size, self.shift, clip, strict=True)
        size, shift = zip(*((min(b, n), s if b < n else 0) for b, s, n in axes), strict=True)
        return Cuboid(size, shift)


def self_cuboids(pattern: str, clip: Size) -> tuple[Cuboid, ...]:
    """The cuboids that a block of self-attention goes through, one after the other.

    Args:
      pattern: "full", one cuboid; "axial", along each axis (Ho et al., 2019); "divided_st", first
        in time, then in space (TimeSformer); "video_swin_PxM", windows of P frames and MxM tokens,
        then the same moved by half a window (Video Swin); "video_swin" means 2x4.
      clip: frames, rows and columns of tokens.

    Raises:
      ValueError: if there is no such pattern.
    """
    length, height, width = clip
    if pattern == "full":
        return (Cuboid(clip),)
    if pattern == "axial":
        return Cuboid((length, 1, 1)), Cuboid((1, height, 1)), Cuboid((1, 1, width))
    if pattern == "divided_st":
        return Cuboid((length, 1, 1)), Cuboid((1, height, width))
    if windows := re.fullmatch(r"video_swin(?:_([1-9]\d*)x([1-9]\d*))?", pattern):
        p, m = map(int, windows.groups()) if windows[1] else (2, 4)
        p, m = min(p, length), min(m, height, width)
        return Cuboid((p, m, m)), Cuboid((p, m, m), (p // 2, m // 2, m // 2))
    raise ValueError(f"attention pattern {pattern!r} is none of {PATTERNS}")


def cross_side(pattern: str, clip: Size) -> int:
    """The side of the square within which tokens attend to a memory's, by pattern "cross_KxK".

    Args:
      pattern: K is the side.
      clip: frames, rows and columns of tokens; the side is no larger than these.

    Raises:
      ValueError: if there is no such pattern.
    """
    square = re.fullmatch(r"cross_([1-9]\d*)x\1", pattern)
    if not square:
        raise ValueError(f"attention pattern {pattern!r} is not {CROSS_PATTERNS}, e.g. cross_1x1")
    return min(int(square[1]), *clip[1:])


def padded(clip: Size, size: Size) -> Size:
    """A clip's size rounded up to whole cuboids."""
    return tuple(-(-n // block) * block for n, block in zip(clip, size, strict=True))


def cut(x: Array, cuboid: Cuboid) -> Array:
    """(B, T, H, W, C) -> (B, cuboids, tokens of a cuboid, C); zeros fill the last cuboids up."""
    clip = x.shape[1:4]
    ends = (full - n for full, n in zip(padded(clip, cuboid.size), clip, strict=True))
    x = jnp.pad(x, ((0, 0), *((0, end) for end in ends), (0, 0)))
    if any(cuboid.shift):
        x = jnp.roll(x, [-shift for shift in cuboid.shift], axis=(1, 2, 3))
    i, j, k = cuboid.size
    return rearrange(x, "b (t i) (h j) (w k) c -> b (t h w) (i j k) c", i=i, j=j, k=k)


def join(tokens: Array, cuboid: Cuboid, clip: Size) -> Array:
    """The inverse of `cut`: (B, cuboids, tokens, C) -> (B, T, H, W, C), (T, H, W) being `clip`."""
    i, j, k = cuboid.size
    t, h, w = (
        full // block for full, block in zip(padded(clip, cuboid.size), (i, j, k), strict=True)
    )
    x = rearrange(
        tokens, "b (t h w) (i j k) c -> b (t i) (h j) (w k) c", t=t, h=h, w=w, i=i, j=j, k=k
    )
    if any(cuboid.shift):
        x = jnp.roll(x, cuboid.shift, axis=(1, 2, 3))
    length, height, width = clip
    return x[:, :length, :height, :width]


def shift_mask(cuboid: Cuboid, clip: Size) -> np.ndarray | None:
    """Which tokens of a shifted cuboid were neighbours: (cuboids, tokens, tokens) bool.

    Shifting wraps around, so that the last cuboid of an axis also holds tokens of the first.
    None where nothing is shifted.
    """
    if not any(cuboid.shift):
        return None
    full = padded(clip, cuboid.size)
    wrapped = [np.arange(n) >= n - shift for n, shift in zip(full, cuboid.shift, strict=True)]
    sides = np.stack(np.meshgrid(*wrapped, indexing="ij"), axis=-1)
    i, j, k = cuboid.size
    sides = rearrange(sides, "(t i) (h j) (w k) s -> (t h w) (i j k) s", i=i, j=j, k=k)
    return (sides[:, :, None] == sides[:, None]).all(axis=-1)


def relative_index(size: Size) -> np.ndarray:
    """The row in a table of offsets that each pair of a cuboid's tokens has: (tokens, tokens).

    Offsets run from 1 - size to size - 1 along each axis, so the table has `offsets(size)` rows.
    """
    tokens = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")).reshape(3, -1)
    highest = np.array(size).reshape(3, 1, 1) - 1
    offset = tokens[:, :, None] - tokens[:, None, :] + highest
    return np.ravel_multi_index(tuple(offset), tuple(2 * side - 1 for side in size))


def offsets(size: Size) -> int:
    """Number of different offsets between two tokens of a cuboid."""
    return int(np.prod([2 * side - 1 for side in size]))
