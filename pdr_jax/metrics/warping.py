"""Temporal warping error: whether a predicted clip's details move as the truth does.

Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018: frame t + 1, warped back to
frame t along the optical flow, should equal frame t wherever nothing is occluded. Occlusion is
found as by Ruder et al., "Artistic Style Transfer for Videos", GCPR 2016: where the flows there
and back do not cancel, and at motion boundaries. Here the flow is that of the TRUTH, and pixels
whose source lies outside the frame count as occluded too.

A blurred or static prediction has a low error: compare with the truth's own ("warping_ratio").
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from pdr_jax.warp import warp

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(N, H, W, C) first and second frames in [0, 1] -> (N, H, W, 2) float32, (dx, dy) in pixels, such
that first[y, x] is found at second[y + dy, x + dx]. RAFT, say, for those who have its weights."""


def dis_flow() -> Flow:
    """Dense Inverse Search (Kroeger et al. 2016) of OpenCV, preset medium; it has no weights.

    Frames become 8-bit, the mean of their channels; NaN counts as 0.

    Raises:
      ImportError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "the warping error's optical flow needs OpenCV: pip install 'pdr-jax[flow]', or give "
            "Evaluator(..., flow=) a function of your own"
        ) from error
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        height, width = first.shape[1:3]
        if min(height, width) < 12:
            raise ValueError(
                f"frames are {height}x{width}; this optical flow needs at least 12x12 pixels: "
                "leave the warping metrics out of `names`"
            )
        first, second = (
            np.round(255 * np.clip(np.nan_to_num(clip.mean(-1)), 0, 1)).astype(np.uint8)
            for clip in (first, second)
        )
        start = np.zeros((height, width, 2), np.float32)
        flows = [solver.calc(a, b, start.copy()) for a, b in zip(first, second, strict=True)]
        return np.stack(flows) if flows else np.zeros((0, height, width, 2), np.float32)

    return flow


def truth_flows(target: np.ndarray, flow: Flow) -> tuple[np.ndarray, np.ndarray]:
    """Flows between consecutive frames of clips (B, T, H, W, C), there and back.

    Returns:
      Two arrays (B, T - 1, H, W, 2).

    Raises:
      ValueError: the flow function returned another shape.
    """
    batch, length, height, width, channels = target.shape
    first, second = (
        clip.reshape(-1, height, width, channels) for clip in (target[:, :-1], target[:, 1:])
    )
    there, back = (
        np.asarray(flow(a, b), np.float32) for a, b in ((first, second), (second, first))
    )
    expected = (len(first), height, width, 2)
    for result in (there, back):
        if result.shape != expected:
            raise ValueError(f"flow returned shape {result.shape}; expected {expected}")
    shape = (batch, length - 1, height, width, 2)
    return there.reshape(shape), back.reshape(shape)


@jax.jit
def occlusion_mask(there: jax.Array, back: jax.Array) -> jax.Array:
    """1 where a pixel of the first frame is seen in the second too, else 0.

    Args:
      there: flow from the first frame to the second, (N, H, W, 2).
      back: flow from the second to the first.

    Returns:
      (N, H, W) float32.
    """
    returned = warp(back, there)
    size, size_returned = (there**2).sum(-1), (returned**2).sum(-1)
    consistent = ((there + returned) ** 2).sum(-1) <= 0.01 * (size + size_returned) + 0.5
    dy = jnp.diff(there, axis=1, append=there[:, -1:])
    dx = jnp.diff(there, axis=2, append=there[:, :, -1:])
    smooth = (dx**2 + dy**2).sum(-1) <= 0.01 * size + 0.002
    limit = jnp.asarray([there.shape[1] - 1, there.shape[2] - 1], jnp.float32).reshape(1, 1, 1, 2)
    positions = _positions(there)
    inside = ((positions >= 0) & (positions <= limit)).all(-1)
    return (consistent & smooth & inside).astype(jnp.float32)


@jax.jit
def warping_error(
    clips: jax.Array, there: jax.Array, back: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Mean squared difference, over pixels that are not occluded and channels, of each step.

    Args:
      clips: (B, T, H, W, C).
      there: flows from each frame to the next, (B, T - 1, H, W, 2).
      back: flows from each frame to the one before.

    Returns:
      The error of the step that leads to each frame, and whether it counts (1 or 0): the first
      frame has no step, nor does one of which every pixel is occluded. Both (B, T).
    """
    batch, steps, height, width, channels = clips[:, 1:].shape
    there, back = (flow.reshape(-1, height, width, 2) for flow in (there, back))
    first, second = (
        clip.reshape(-1, height, width, channels) for clip in (clips[:, :-1], clips[:, 1:])
    )
    mask = occlusion_mask(there, back)
    squared = ((first - warp(second, there)) ** 2).mean(-1)
    pixels = mask.sum((1, 2))
    error = (squared * mask).sum((1, 2)) / jnp.maximum(pixels, 1.0)
    results = (error, (pixels > 0).astype(jnp.float32))
    return tuple(jnp.pad(r.reshape(batch, steps), ((0, 0), (1, 0))) for r in results)  # type: ignore[return-value]


def _positions(flow: jax.Array) -> jax.Array:
    """(N, H, W, 2), (y, x): where the flow (dx, dy) of each pixel leads."""
    grid = jnp.stack(jnp.mgrid[: flow.shape[1], : flow.shape[2]], -1)
    return grid[None].astype(jnp.float32) + flow[..., ::-1]
