"""OpenSTL's SwinLSTM."""

import re

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.layers.cuboids import relative_index
from pdr_jax.backbones.layers.windows import added_mask
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
            windows = module.windows(stage, number)
            positions = relative_index(windows.size).astype(np.int64)
            found[f"{block}.attn.relative_position_index"] = positions
            mask = added_mask(windows, *module.grid(stage.halvings))
            if mask is not None:
                found[f"{block}.attn_mask"] = mask
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
