"""Predictive Differentiable Rendering for video prediction (arXiv 2606.31050), in JAX.

    backbone = pdr_jax.backbones.create("tau", in_shape=(10, 128, 128, 1), hid_S=64)
    adapter = pdr_jax.PredGS(pdr_jax.predgs.create("tracked"))
    model = pdr_jax.PDR(backbone, adapter=adapter)

Where to look: the model is `pdr_jax.pdr`, the training step `pdr_jax.train`, the renderer's
definition `pallas_kernels.splat2d.reference`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    "Pretrained",
    "backbones",
    "from_pretrained",
    "losses",
    "metrics",
    "predgs",
]

_MODULES = {
    "PDR": "pdr_jax.pdr",
    "Gaussians2D": "pdr_jax.gaussians",
    "PDROutput": "pdr_jax.pdr",
    "PredGS": "pdr_jax.predgs",
    "PredGSConfig": "pdr_jax.predgs",
    "Pretrained": "pdr_jax.runs.pretrained",
    "from_pretrained": "pdr_jax.runs.pretrained",
}


def __getattr__(name: str) -> Any:
    """Imports JAX and the rest when they are first used: `pdr --help` is there at once."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name in __all__:
        return import_module(f"pdr_jax.{name}")
    raise AttributeError(f"module 'pdr_jax' has no attribute {name!r}")
