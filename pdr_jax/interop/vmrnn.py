"""The public VMRNN."""

from collections.abc import Mapping
from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.layers.selective_scan import DIRECTIONS
from pdr_jax.interop import entries, patch_lstm
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import Layout
from pdr_jax.interop.patch_lstm import ONE_CELL, PYRAMID

BLOCK: Rules = (
    (r"/scan/enter$", r"/self_attention/in_proj"),
    (r"/scan/near$", r"/self_attention/conv2d"),
    (r"/scan/select$", r"/self_attention/x_proj_weight"),
    (r"/scan/step_kernel$", r"/self_attention/dt_projs_weight"),
    (r"/scan/step_bias$", r"/self_attention/dt_projs_bias"),
    (r"/scan/log_rates$", r"/self_attention/A_logs"),
    (r"/scan/skip$", r"/self_attention/Ds"),
    (r"/scan/norm$", r"/self_attention/out_norm"),
    (r"/scan/leave$", r"/self_attention/out_proj"),
    (r"/block_(\d+)/norm$", r"/block_\1/ln_1"),
    *patch_lstm.rules("VSBs", "linear"),
)
TURNED = Layout(lambda a: a.swapaxes(1, 2), lambda a: a.swapaxes(1, 2))
# (directions * D, N) there, (directions, N, D) here.
RATES = Layout(
    lambda a: a.reshape(DIRECTIONS, -1, a.shape[-1]).swapaxes(1, 2),
    lambda a: a.swapaxes(1, 2).reshape(-1, a.shape[1]),
)
SKIP = Layout(lambda a: a.reshape(DIRECTIONS, -1), lambda a: a.reshape(-1))
SCAN = (
    (r"\.(x_proj|dt_projs)_weight$", TURNED),
    (r"\.A_logs$", RATES),
    (r"\.Ds$", SKIP),
)
# Entries that the public code asks for and does not use: VMRNN has no attention.
UNUSED = {"num_heads": "1", "window_size": 1, "drop_rate": 0.0}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters here."""
    return {k: v for k, v in patch_lstm.read_lists(config).items() if k not in UNUSED}


def config(module: Backbone) -> dict[str, Any]:
    """Entries of a configuration there."""
    levels = len(getattr(module, "depths_downsample", (0,)))
    return patch_lstm.write_lists(module) | UNUSED | {"num_heads": entries.joined([1] * levels)}


FAMILIES = {
    name: Family(name, (*BLOCK, *form), (*SCAN, *patch_lstm.LAYOUTS), options, config)
    for name, form in (("vmrnn_b", ONE_CELL), ("vmrnn_d", PYRAMID))
}
