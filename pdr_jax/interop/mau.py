"""OpenSTL's MAU."""

from collections.abc import Mapping
from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.interop import entries
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import TRANSPOSED

RULES: Rules = (
    (r"^enter$", r"encoders.0.encoder_t_conv-1"),
    (r"^down_(\d+)$", lambda m: f"encoders.{int(m[1]) + 1}.encoder_t{m[1]}"),
    (r"^up_(\d+)$", r"decoders.\1.c_decoder\1"),
    (r"^readout$", r"srcnn.0"),
    (r"^units_(\d+)/", r"cell_list.\1."),
    (r"query/", r"conv_s_next/"),
    (r"fusion_gate/", r"conv_t_next/"),
    (r"from_spatial/", r"conv_s/"),
    (r"from_temporal/", r"conv_t/"),
    (r"/conv$", r".0"),
    (r"/norm$", r".1"),
)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"num_hidden": entries.integers(config, "num_hidden")}


def _config(module: Backbone) -> dict[str, Any]:
    return {"num_hidden": entries.joined(module.num_hidden), "stride": 1}


FAMILIES = {
    "mau": Family(
        "mau", RULES, ((r"^decoders\..*weight$", TRANSPOSED),), options=_options, config=_config
    )
}
