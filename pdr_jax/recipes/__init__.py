"""Recipes: everything that defines a run, with each benchmark's published settings as defaults.

    recipe = recipes.create("kth", backbone="tau", adapter="predgs", loss="l1_ssim")

A recipe is dataset x backbone x adapter x loss. `create` fills in the published settings (OpenSTL's
configuration files; the PDR paper's table of settings), and every field can be replaced.
"""

from pdr_jax.recipes.published import DEFAULT_ADAPTER, create, published_backbone
from pdr_jax.recipes.recipe import ADAPTERS, CLIP_FIELDS, Protocol, Recipe, Renderer, Ssim

__all__ = [
    "ADAPTERS",
    "CLIP_FIELDS",
    "DEFAULT_ADAPTER",
    "Protocol",
    "Recipe",
    "Renderer",
    "Ssim",
    "create",
    "published_backbone",
]
