"""Figures that tell whether the rendered branch is alive and used, for logs and evaluations.

PredGS can train without an error and yet draw one static picture, which the fusion ignores. Each
docstring says what to expect of a healthy run.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float

from pdr_jax.gaussians import Gaussians2D
from pdr_jax.pdr import PDROutput

HEADS = ("position", "scale", "rotation", "amplitude")
"""Of every adapter."""
TRACKED_HEADS = ("velocity", "weight")
"""Those that heads="tracked" has besides."""


def gradient_norms(grads: Mapping[str, Any]) -> dict[str, Float[Array, ""]]:
    """Gradient norms of the backbone, of each head and of the fusion; none should vanish."""
    parts = {name: part for name, part in grads.items() if name != "adapter"}
    parts |= _heads(grads.get("adapter", {}))
    return {name: optax.tree.norm(part) for name, part in parts.items()}


def _heads(adapter: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, part in adapter.items():
        if name in HEADS + TRACKED_HEADS:
            found[name] = part
        elif isinstance(part, Mapping):
            found |= _heads(part)
    return found


def gaussian_statistics(gaussians: Gaussians2D) -> dict[str, Float[Array, ""]]:
    """Statistics of the Gaussians of a batch of clips, leading dimensions (B, T).

    Returns:
      outside: share of the Gaussians centred outside the frame.
      sigma_p05, sigma_p50, sigma_p95: percentiles of the standard deviations in pixels.
      position_std, amplitude_std: how much a Gaussian changes from frame to frame: its standard
        deviation over (B, T) in pixels and in frame units, averaged over the Gaussians. 0 means the
        same picture for every input.
    """
    mean, sigma, _, amplitude = gaussians.pixels()
    frames = (0, 1)
    low, middle, high = jnp.percentile(sigma, jnp.asarray([5.0, 50.0, 95.0]))
    return {
        "outside": jnp.mean(jnp.any(jnp.abs(gaussians.mean) > 1, axis=-1)),
        "sigma_p05": low,
        "sigma_p50": middle,
        "sigma_p95": high,
        "position_std": jnp.mean(jnp.std(mean, axis=frames)),
        "amplitude_std": jnp.mean(jnp.std(amplitude, axis=frames)),
    }


def saturation(gaussians: Gaussians2D) -> dict[str, Float[Array, ""]]:
    """Shares of the Gaussians whose heads, a tanh and a sigmoid, are at an end of their range.

    Not for heads="tracked", whose positions and scales have other ranges.

    Returns:
      position_at_border, scale_saturated: near 0 in a healthy run.
    """
    return {
        "position_at_border": jnp.mean(jnp.any(jnp.abs(gaussians.mean) > 0.98, axis=-1)),
        "scale_saturated": jnp.mean(jnp.abs(gaussians.scale - 0.5) > 0.48),
    }


def track_statistics(gaussians: Gaussians2D) -> dict[str, Float[Array, "*B"]]:
    """How each clip's Gaussians move from frame to frame, averaged over Gaussians and frames.

    Means over clips are those of a test split, whatever its batches.

    Args:
      gaussians: leading dimensions (..., T); Gaussian i of a frame is Gaussian i of the next.

    Returns:
      track_speed: the mean length of a step, in pixels a frame; needs T >= 2.
      track_acceleration: the mean length of the second difference of a position, in pixels a frame
        squared; needs T >= 3. It says how smooth the tracks are: 0 is uniform motion.
    """
    steps = jnp.diff(gaussians.pixels()[0], axis=-3)
    changes = {"track_speed": steps, "track_acceleration": jnp.diff(steps, axis=-3)}
    return {
        name: jnp.linalg.norm(change, axis=-1).mean((-2, -1))
        for name, change in changes.items()
        if change.shape[-3]
    }


def motion_field(gaussians: Gaussians2D, **options: Any) -> Float[Array, "*B T H W 2"]:
    """What the Gaussians at each pixel move by: the weighted mean of their steps, drawn.

    The step of a frame is the one that leads to it; the first frame shows its own next one.

    Args:
      gaussians: leading dimensions (..., T) with T >= 2.
      **options: as in `Gaussians2D.render`.

    Returns:
      Pixels a frame, (dx, dy); 0 in holes.
    """
    steps = jnp.diff(gaussians.pixels()[0], axis=-3)
    steps = jnp.concatenate([steps[..., :1, :, :], steps], axis=-3)
    weight = jnp.ones_like(gaussians.rotation) if gaussians.weight is None else gaussians.weight
    return gaussians.replace(amplitude=steps, weight=weight).render(**options)


def blend_statistics(
    coverage: Float[Array, "*B 1"] | None, gate: Float[Array, "*B C"] | None
) -> dict[str, Float[Array, ""]]:
    """Where Gaussians with weights draw, and where gated fusion takes their frames.

    Args:
      coverage: as in `PDROutput`.
      gate: as in `PDROutput`.

    Returns:
      coverage_mean, coverage_holes: the mean, near 1 at rest, and the share of pixels below 0.5.
      gate_mean, gate_rendered: the mean, and the share of values above 0.5, which come mostly from
        the rendered frame; near 0 the rendered branch is ignored.
    """
    figures = {}
    if coverage is not None:
        figures["coverage_mean"] = jnp.mean(coverage)
        figures["coverage_holes"] = jnp.mean(coverage < 0.5)
    if gate is not None:
        figures["gate_mean"] = jnp.mean(gate)
        figures["gate_rendered"] = jnp.mean(gate > 0.5)
    return figures


def fusion_statistics(
    kernel: Float[Array, "C2 C"], coarse: Float[Array, "*B C"], rendered: Float[Array, "*B C"]
) -> dict[str, Float[Array, ""]]:
    """How much of the prediction comes from the rendered frames.

    Args:
      kernel: (2 C, C), w1 above w2, of the fusing 1x1 convolution.
      coarse: X~, the backbone's frames.
      rendered: Y, the Gaussians' frames.

    Returns:
      coarse_weight, rendered_weight: means of the diagonals of w1 and w2.
      rendered_share: std(w2 Y) / std(w1 X~); near 0 the rendered branch is ignored.
    """
    from_coarse, from_rendered = jnp.split(kernel, 2)
    coarse, rendered = coarse @ from_coarse, rendered @ from_rendered
    return {
        "coarse_weight": jnp.mean(jnp.diagonal(from_coarse)),
        "rendered_weight": jnp.mean(jnp.diagonal(from_rendered)),
        "rendered_share": jnp.std(rendered) / jnp.std(coarse),
    }


def describe(params: Mapping[str, Any], output: PDROutput) -> dict[str, Float[Array, ""]]:
    """All figures that need the output for a batch; {} for a model without adapter."""
    if output.gaussians is None or output.rendered is None:
        return {}
    figures = gaussian_statistics(output.gaussians)
    if "scale_start" in params.get("adapter", {}):
        figures |= saturation(output.gaussians)
    tracks = track_statistics(output.gaussians)
    figures |= {name: jnp.mean(values) for name, values in tracks.items()}
    figures |= blend_statistics(output.coverage, output.gate)
    if "fuse_conv" in params:
        kernel = params["fuse_conv"]["conv"]["kernel"]
        figures |= fusion_statistics(kernel, output.coarse, output.rendered)
    return figures
