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


def gradient_norms(grads: Mapping[str, Any]) -> dict[str, Float[Array, ""]]:
    """Gradient norms of the backbone, of each head and of the fusion; none should vanish."""
    parts = {name: grads[name] for name in ("backbone", "fuse_conv") if name in grads}
    adapter = grads.get("adapter", {})
    parts |= {head: adapter[head] for head in HEADS if head in adapter}
    return {name: optax.tree.norm(part) for name, part in parts.items()}


def gaussian_statistics(gaussians: Gaussians2D) -> dict[str, Float[Array, ""]]:
    """Statistics of the Gaussians of a batch of clips, leading dimensions (B, T).

    Returns:
      position_at_border, scale_saturated: shares of the Gaussians; near 0 in a healthy run.
      sigma_p05, sigma_p50, sigma_p95: percentiles of the standard deviations in pixels.
      position_std, amplitude_std: how much a Gaussian changes from frame to frame: its standard
        deviation over (B, T) in pixels and in frame units, averaged over the Gaussians. 0 means the
        same picture for every input.
    """
    mean, sigma, _, amplitude = gaussians.pixels()
    frames = (0, 1)
    low, middle, high = jnp.percentile(sigma, jnp.asarray([5.0, 50.0, 95.0]))
    return {
        "position_at_border": jnp.mean(jnp.any(jnp.abs(gaussians.mean) > 0.98, axis=-1)),
        "scale_saturated": jnp.mean(jnp.abs(gaussians.scale - 0.5) > 0.48),
        "sigma_p05": low,
        "sigma_p50": middle,
        "sigma_p95": high,
        "position_std": jnp.mean(jnp.std(mean, axis=frames)),
        "amplitude_std": jnp.mean(jnp.std(amplitude, axis=frames)),
    }


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
    if "fuse_conv" in params:
        kernel = params["fuse_conv"]["conv"]["kernel"]
        figures |= fusion_statistics(kernel, output.coarse, output.rendered)
    return figures
