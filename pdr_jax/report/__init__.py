"""What a run leaves to look at: frame strips, animations, Gaussians, curves, tables.

Pictures need the extra `report` (matplotlib, imageio); tables do not.
"""

from pdr_jax.report.clips import save_gif, save_strip
from pdr_jax.report.curves import save_curves
from pdr_jax.report.ellipses import save_gaussians
from pdr_jax.report.table import print_table, rich_table

__all__ = [
    "print_table",
    "rich_table",
    "save_curves",
    "save_gaussians",
    "save_gif",
    "save_strip",
]
