"""OpenSTL's SwinLSTM."""

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.swinlstm import SwinLSTM
from pdr_jax.interop import patch_lstm, windows
from pdr_jax.interop.family import Family, Rules, renamed
from pdr_jax.interop.metaformers import MLP, NORMS
from pdr_jax.interop.patch_lstm import ONE_CELL, PYRAMID

BLOCK: Rules = (
    *NORMS,
    *MLP,
    *windows.RULES,
    *patch_lstm.rules("STBs", "red"),
)


def buffers(module: Backbone) -> dict[str, np.ndarray]:
    """The buffers of every block of every cell, see `windows.buffers`."""
    assert isinstance(module, SwinLSTM)
    found: dict[str, np.ndarray] = {}
    for stage in module.stages():
        for number in range(len(stage.drop_path)):
            block = renamed(f"{stage.name}/block_{number}", (*BLOCK, *ONE_CELL, *PYRAMID))
            grid = module.grid(stage.halvings)
            found |= windows.buffers(block, module.windows(stage, number), grid)
    return found


FAMILIES = {
    name: Family(
        name,
        (*BLOCK, *form),
        patch_lstm.LAYOUTS,
        patch_lstm.read_lists,
        patch_lstm.write_lists,
        ignored=windows.IGNORED,
        buffers=buffers,
    )
    for name, form in (("swinlstm_b", ONE_CELL), ("swinlstm_d", PYRAMID))
}
