"""What a run leaves to look at: strips of frames, animations, Gaussians, tracks, curves, tables.

Pictures need the extra `report` (matplotlib, imageio); tables do not.
"""

from pdr_jax.report.clips import save_gif, save_strip
from pdr_jax.report.comparison import save_comparison
from pdr_jax.report.curves import save_curves
from pdr_jax.report.ellipses import save_gaussians
from pdr_jax.report.table import print_table, rich_table
from pdr_jax.report.tracks import save_tracks

__all__ = [
    "print_table",
    "rich_table",
    "save_comparison",
    "save_curves",
    "save_gaussians",
    "save_gif",
    "save_strip",
    "save_tracks",
]
