"""OpenSTL's DMVFN (branch OpenSTLv0.3.0)."""

from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import TRANSPOSED

RULES: Rules = (
    (r"^router_in$", r"routing.routing.0"),
    (r"^router_out$", r"routing.routing.2"),
    (r"^router_head$", r"l1"),
    (r"^blocks_(\d+)/", r"stu.\1."),
    (r"down_(\d)", r"conv0.\1"),
    (r"body_(\d)", r"convblock.\1"),
    (r"squeeze", r"conv_sq"),
    (r"fine_0", r"conv1.0"),
    (r"fine_1", r"convblock1.0"),
    (r"out$", r"lastconv"),
    (r"/conv$", r".0"),
    (r"/slope$", r".1.weight"),
)


def _config(module: Backbone) -> dict[str, Any]:
    channels = module.in_shape[-1]
    return {"num_block": len(module.num_features), "in_planes": 4 * channels + 1 + 4}


FAMILIES = {
    "dmvfn": Family("dmvfn", RULES, ((r"lastconv\.weight$", TRANSPOSED),), config=_config),
}
