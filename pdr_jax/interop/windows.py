"""Windowed attention: the rules, and the buffers that PyTorch keeps, of Swin and SwinLSTM."""

import numpy as np

from pdr_jax.backbones.layers.cuboids import Cuboid, relative_index
from pdr_jax.backbones.layers.windows import added_mask
from pdr_jax.interop.family import Rules

RULES: Rules = (
    (r"/relative_position_bias$", r".relative_position_bias_table"),
    (r"/attention/attention|/attention", r".attn"),
)
IGNORED = (r"\.attn\.relative_position_index$", r"\.attn_mask$")


def buffers(block: str, windows: Cuboid, grid: tuple[int, int]) -> dict[str, np.ndarray]:
    """The table of relative positions, and the mask if there is one, of a block.

    Args:
      block: the block's path there, "a.b".
      windows: the block's windows.
      grid: rows and columns of patches.
    """
    found = {f"{block}.attn.relative_position_index": relative_index(windows.size).astype(np.int64)}
    mask = added_mask(windows, *grid)
    return found if mask is None else found | {f"{block}.attn_mask": mask}
