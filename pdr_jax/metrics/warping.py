"""Temporal warping error: whether a predicted clip's details move as the truth does.

Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018: frame t + 1, warped back to
frame t along the optical flow, should equal frame t wherever nothing is occluded. A pixel is
occluded, after Ruder et al., "Artistic Style Transfer for Videos", GCPR 2016, where the flows there
and back do not cancel, and at motion boundaries; here also where its source lies outside the frame,
which Lai et al.'s code takes from the border. The flow is that of the TRUTH.

A blurred or static prediction has a low error: compare it with the truth's ("warping_ratio").
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.warp import warp

Flow = Callable[
    [Float[np.ndarray, "N H W C"], Float[np.ndarray, "N H W C"]], Float[np.ndarray, "N H W 2"]
]
"""Optical flow from first to second frames in [0, 1]: (dx, dy) in pixels, such that first[y, x] is
found at second[y + dy, x + dx]. `dis_flow` and `raft.load_raft` make such functions."""


def dis_flow() -> Flow:
    """OpenCV's Dense Inverse Search (Kroeger et al. 2016), preset medium, which needs no weights.

    It sees the mean over channels, rounded to 8 bits; NaN counts as 0.

    Raises:
      ImportError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "optical flow needs OpenCV: pip install 'pdr-jax[flow]'; or give Evaluator(..., flow=) "
            "a function of your own"
        ) from error
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        height, width = first.shape[1:3]
        if min(height, width) < 12:
            raise ValueError(
                f"frames are {height}x{width}; this optical flow needs at least 12x12 pixels: "
                "leave out the warping metrics (of `names`) and the extrapolation"
            )
        first, second = (
            np.round(255 * np.clip(np.nan_to_num(clip.mean(-1)), 0, 1)).astype(np.uint8)
            for clip in (first, second)
        )
        start = np.zeros((height, width, 2), np.float32)
        flows = [solver.calc(a, b, start.copy()) for a, b in zip(first, second, strict=True)]
        return np.stack(flows) if flows else np.zeros((0, height, width, 2), np.float32)

    return flow


def truth_flows(
    target: Float[np.ndarray, "B T H W C"], flow: Flow
) -> tuple[Float[np.ndarray, "B T-1 H W 2"], Float[np.ndarray, "B T-1 H W 2"]]:
    """Flows from each frame to the next, and back.

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


class TruthFlows:
    """`truth_flows`, which remembers those of the last clips: many predictions have one truth."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._last: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]] | None = None

    def __call__(
        self, target: Float[np.ndarray, "B T H W C"]
    ) -> tuple[Float[np.ndarray, "B T-1 H W 2"], Float[np.ndarray, "B T-1 H W 2"]]:
        """Flows from each frame to the next, and back."""
        if self._last is None or not np.array_equal(self._last[0], target):
            self._last = (target, truth_flows(target, self._flow))
        return self._last[1]


@jax.jit
def occlusion_mask(
    there: Float[Array, "N H W 2"], back: Float[Array, "N H W 2"]
) -> Float[Array, "N H W"]:
    """1 where a pixel of the first frame is seen in the second too, else 0; float32.

    Args:
      there: flow from the first frame to the second.
      back: flow from the second to the first.
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
    clips: Float[Array, "B T H W C"],
    there: Float[Array, "B S H W 2"],
    back: Float[Array, "B S H W 2"],
) -> tuple[Float[Array, "B T"], Float[Array, "B T"]]:
    """Mean squared difference of each frame and the next one warped back, where not occluded.

    Args:
      clips: of T frames.
      there: flows from each frame to the next, S = T - 1.
      back: flows from each frame to the one before.

    Returns:
      For each frame the error of the step that leads to it, and whether that step counts (1 or 0).
      The first frame has no step, and a step does not count if every pixel is occluded (in Lai et
      al.'s code its error is 0, and counts).
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


def _positions(flow: Array) -> Array:
    """(N, H, W, 2), (y, x): where the flow (dx, dy) of each pixel leads."""
    grid = jnp.stack(jnp.mgrid[: flow.shape[1], : flow.shape[2]], -1)
    return grid[None].astype(jnp.float32) + flow[..., ::-1]
