"""OpenSTL's PredNet (branch OpenSTLv0.3.0)."""

from collections.abc import Mapping
from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.prednet import per_level
from pdr_jax.interop import entries
from pdr_jax.interop.family import Family, Rules

RULES: Rules = (
    (r"^represent_(\d+)/([ifco])$", r"\2.\1"),
    # The lists there have an activation after every convolution.
    (r"^guess_(\d+)$", lambda m: f"Ahat.{2 * int(m[1])}"),
    (r"^ascend_(\d+)$", lambda m: f"A.{2 * int(m[1])}"),
)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    sizes = ("A_filt_sizes", "Ahat_filt_sizes", "R_filt_sizes")
    return {
        "stack_sizes": entries.integers(config, "stack_sizes")[1:],
        **{field: entries.integers(config, field) for field in sizes if field in config},
    }


def _config(module: Backbone) -> dict[str, Any]:
    widths = (module.in_shape[-1], *module.stack_sizes)
    levels = len(widths)
    return {
        "stack_sizes": widths,
        "R_stack_sizes": widths,
        "A_filt_sizes": per_level(module.A_filt_sizes, levels - 1),
        "Ahat_filt_sizes": per_level(module.Ahat_filt_sizes, levels),
        "R_filt_sizes": per_level(module.R_filt_sizes, levels),
        "weight_mode": "L_0",
        "LSTM_activation": "tanh",
        "LSTM_inner_activation": "hard_sigmoid",
    }


FAMILIES = {"prednet": Family("prednet", RULES, options=_options, config=_config)}
