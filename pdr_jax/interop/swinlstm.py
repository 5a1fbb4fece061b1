"""OpenSTL's SwinLSTM."""

import re

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.layers.windows import relative_positions, shift_mask
from pdr_jax.backbones.swinlstm import SwinLSTM
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.metaformers import MLP, NORMS
from pdr_jax.interop.patch_lstm import (
    LAYOUTS,
    ONE_CELL,
    PYRAMID,
    read_lists,
    rules,
    write_lists,
)

BLOCK: Rules = (
    *NORMS,
    *MLP,
    (r"/relative_position_bias$", r".relative_position_bias_table"),
    (r"/attention/attention|/attention", r".attn"),
    *rules("STBs", "red"),
)


def buffers(module: Backbone) -> dict[str, np.ndarray]:
    """The tables of relative positions, and the masks."""
    assert isinstance(module, SwinLSTM)
    found = {}
    for stage in module.stages():
        cell = f"{stage.name}/"
        for pattern, replacement in (*ONE_CELL, *PYRAMID):
            cell = re.sub(pattern, replacement, cell)
        for number in range(len(stage.drop_path)):
            block = f"{cell}STBs/{number}".replace("/", ".")
            windows = module.windows(stage.halvings, number)
            positions = relative_positions(windows.side).astype(np.int64)
            found[f"{block}.attn.relative_position_index"] = positions
            if windows.shift:
                found[f"{block}.attn_mask"] = shift_mask(*module.grid(stage.halvings), windows)
    return found


FAMILIES = {
    name: Family(
        name,
        (*BLOCK, *form),
        LAYOUTS,
        read_lists,
        write_lists,
        ignored=(r"\.attn\.relative_position_index$", r"\.attn_mask$"),
        buffers=buffers,
    )
    for name, form in (("swinlstm_b", ONE_CELL), ("swinlstm_d", PYRAMID))
}
