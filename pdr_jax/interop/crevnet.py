"""OpenSTL's CrevNet (branch OpenSTLv0.3.0)."""

from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.interop.family import Family, Rules

# The position there of every layer of a residual block: of the first block, and of the others.
FIRST = {"conv_0": 0, "norm_1": 1, "conv_1": 3, "norm_2": 5, "conv_2": 7}
OTHERS = {"norm_0": 0, "conv_0": 2, "norm_1": 3, "conv_1": 5, "norm_2": 7, "conv_2": 9}

RULES: Rules = (
    *((rf"^network/residuals_0/{name}$", f"encoder.stack.0.bottleneck_block.{i}")
      for name, i in FIRST.items()),
    *((rf"^network/residuals_(\d+)/{name}$", rf"encoder.stack.\1.bottleneck_block.{i}")
      for name, i in OTHERS.items()),
    (r"^cells_(\d+)/", r"frame_predictor.convlstm.\1."),
    (r"^mixtures_(\d+)$", r"frame_predictor.att.\1.0"),
    (r"cell_in$", "in_gate"),
    (r"cell_keep$", "remember_gate"),
    (r"cell_write$", "cell_gate"),
    (r"memory_in$", "in_gate1"),
    (r"memory_keep$", "remember_gate1"),
    (r"memory_write$", "cell_gate1"),
    (r"\.gate$", ".out_gate"),
    (r"\.value$", ".w1"),
)  # fmt: skip


def _config(module: Backbone) -> dict[str, Any]:
    return {"rnn_size": module.width}


FAMILIES = {"crevnet": Family("crevnet", RULES, config=_config)}
