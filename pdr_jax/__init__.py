"""Predictive Differentiable Rendering for video prediction (arXiv 2606.31050), in JAX.

    backbone = pdr_jax.backbones.create("tau", in_shape=(10, 128, 128, 1), hid_S=64)
    adapter = pdr_jax.PredGS(pdr_jax.predgs.create("tracked"))
    model = pdr_jax.PDR(backbone, adapter=adapter)

Where to look: the model is `pdr_jax.pdr`, the training step `pdr_jax.train`, the renderer's
definition `pallas_kernels.splat2d.reference`.
"""

from pdr_jax import backbones, losses, metrics, predgs
from pdr_jax.gaussians import Gaussians2D
from pdr_jax.pdr import PDR, PDROutput
from pdr_jax.predgs import PredGS, PredGSConfig

__all__ = [
    "PDR",
    "Gaussians2D",
    "PDROutput",
    "PredGS",
    "PredGSConfig",
    "backbones",
    "losses",
    "metrics",
    "predgs",
]
