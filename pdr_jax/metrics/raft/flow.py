"""RAFT as the flow of the warping metrics: frames of any size, in bounded memory."""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.metrics.raft import weights
from pdr_jax.metrics.raft.model import RAFT
from pdr_jax.metrics.warping import Flow

SMALLEST = 16
"""Least height and width of a frame."""

CHUNK_PIXELS = 2**19
"""Pixels of the first frames, as the model sees them, that pass through it at a time.

Their correlations take up to 1.3 * CHUNK_PIXELS^2 / 1024 bytes, 360 MB.
"""

MOST_PIXELS = 2**20
"""Most pixels of one frame, whose correlations take 1.4 GB."""


def load_raft(path: str | os.PathLike[str], *, iterations: int = 20) -> Flow:
    """Reads trained weights and returns the flow, a function of first and second frames.

    ```
    flow = raft.load_raft("raft-things.pth")
    Evaluator(("warping_error_raft", "warping_ratio_raft"), raft=flow)
    ```

    Frames (N, H, W, C) in [0, 1] are clipped, NaN counts as 0, and grey, or the mean of other than
    three channels, is repeated to RGB. As in the authors' code, their borders are repeated to
    multiples of 8 pixels. That code makes NaN, or fails, where a frame then has a side below 128,
    whose coarsest correlations have less than 2 pixels. Here such frames are first enlarged
    bilinearly, by the least whole number that avoids it, and the flow is averaged back.

    Args:
      path: the authors' file or torchvision's, such as raft-things.pth (needs PyTorch), or an .npz
        of the same arrays; the full or the small model.
      iterations: 20 in the authors' demo, 12 in their training, 24 and 32 in their evaluations.

    Raises:
      FileNotFoundError: no such file; the message says where there is one.
      ImportError: a .pth where PyTorch is not installed; the message says how to convert it.
      ValueError: `iterations` is below 1, an array is missing or has another shape, or the file
        holds other arrays; the flow raises it for frames that are too small or too large.
    """
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: expected 1 or more")
    size, variables = weights.read(path)
    model = jax.jit(RAFT(size, iterations).apply)

    def flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        count, height, width, _ = first.shape
        factor = _factor(height, width)
        pixels = factor**2 * height * width
        if min(height, width) < SMALLEST or pixels > MOST_PIXELS:
            raise ValueError(
                f"frames are {height}x{width}, which RAFT sees as {factor * height}x"
                f"{factor * width}; expected frames of at least {SMALLEST}x{SMALLEST}, seen as at "
                f"most {MOST_PIXELS} pixels: leave RAFT's warping metrics out"
            )
        if count == 0:
            return np.zeros((0, height, width, 2), np.float32)
        most = max(1, CHUNK_PIXELS // pixels)
        # Chunks of equal size, so that one program serves all; the last pair fills the last chunk.
        together = -(-count // -(-count // most))
        flows = []
        for start in range(0, count, together):
            chosen = np.minimum(np.arange(start, start + together), count - 1)
            pair = (_prepared(frames[chosen], factor) for frames in (first, second))
            with jax.default_matmul_precision("highest"):
                fine = model(variables, *pair)
            flows.append(_restored(np.asarray(fine), factor, height, width))
        return np.concatenate(flows)[:count]

    return flow


def _factor(height: int, width: int) -> int:
    """How many times frames are enlarged, so that their padded sides are at least 128."""
    return -(-121 // max(1, min(height, width, 121)))


@functools.partial(jax.jit, static_argnums=1)
def _prepared(frames: Float[Array, "N H W C"], factor: int) -> Float[Array, "N height width 3"]:
    """RGB in [0, 255], enlarged, and padded to multiples of 8."""
    batch, height, width, channels = frames.shape
    frames = jnp.clip(jnp.where(jnp.isnan(frames), 0, frames), 0, 1)
    if channels not in (1, 3):
        frames = frames.mean(-1, keepdims=True)
    height, width = factor * height, factor * width
    if factor > 1:
        frames = jax.image.resize(frames, (batch, height, width, frames.shape[-1]), "bilinear")
    frames = 255 * jnp.broadcast_to(frames, (batch, height, width, 3))
    return jnp.pad(frames, ((0, 0), _padding(height), _padding(width), (0, 0)), mode="edge")


def _restored(
    flow: Float[np.ndarray, "N height width 2"], factor: int, height: int, width: int
) -> Float[np.ndarray, "N H W 2"]:
    """The flow of the frames (H, W) that were enlarged and padded."""
    top, left = (_padding(factor * side)[0] for side in (height, width))
    flow = flow[:, top : top + factor * height, left : left + factor * width]
    blocks = flow.reshape(-1, height, factor, width, factor, 2)
    return blocks.mean((2, 4)) / np.float32(factor)


def _padding(side: int) -> tuple[int, int]:
    """Pixels before and after `side` that make it a multiple of 8."""
    missing = -side % 8
    return missing // 2, missing - missing // 2
