"""Residual diffusion: a distribution of futures behind any deterministic predictor.

The predictor gives one future, which is a mean and therefore blurred; what it leaves out, the
residual target - prediction, is drawn from a learned distribution (in the spirit of DiffCast, Yu et
al., CVPR 2024, arXiv 2312.06734; written from the paper). It is the attribute `residual` of
`pdr_jax.pdr.PDR`. README.md says what is the paper's and what is ours.

* `config`: every choice, and presets.
* `schedule`: how much signal and noise there is at a diffusion time, and what a network predicts.
* `unet`: the network, over space and time.
* `ddim`: sampling.
* `residual`: the module that learns and draws residuals.
"""

from pdr_jax.diffusion.config import PRESETS, DiffusionConfig, create
from pdr_jax.diffusion.residual import ResidualDiffusion

__all__ = ["PRESETS", "DiffusionConfig", "ResidualDiffusion", "create"]
