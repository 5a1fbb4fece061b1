"""Rules, layouts and entries that SwinLSTM and VMRNN share."""

from collections.abc import Mapping
from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.interop import entries
from pdr_jax.interop.family import Rules
from pdr_jax.interop.layouts import TRANSPOSED

LISTS = ("depths_downsample", "depths_upsample", "num_heads")

# The list Conv_ there has a norm and an activation after every convolution; only 0, 3, 6, ... are
# convolutions. Each doubles the resolution: nobody has more than eight.
CONVOLUTIONS = "|".join(map(str, range(0, 24, 3)))
LAYOUTS = ((rf"\.Conv(_\.({CONVOLUTIONS}))?\.weight$", TRANSPOSED),)


def rules(blocks: str, joining: str) -> Rules:
    """Rules for everything except the insides of a cell's blocks.

    Args:
      blocks: what a cell's list of blocks is called there.
      joining: what the layer that joins a block's two inputs is called there.
    """
    return (
        (r"^embed$", r"embed/proj"),
        (r"^spare_embed$", r"spare_embed/proj"),
        (r"_resample/reduce$", r"_resample/reduction"),
        (r"_resample/widen$", r"_resample/expand"),
        (r"/spare_(\d+)$", rf"/block_\1/{joining}"),
        (r"/reduce$", rf"/{joining}"),
        (r"/block_(\d+)", rf"/{blocks}/\1"),
        (r"^inflate/conv_(\d+)$", lambda m: f"inflate/Conv_/{3 * int(m[1])}"),
        (r"^inflate/norm_(\d+)$", lambda m: f"inflate/Conv_/{3 * int(m[1]) + 1}"),
        (r"^inflate/conv$", r"inflate/Conv"),
    )


ONE_CELL: Rules = (
    (r"^embed/", r"ST/patch_embed/"),
    (r"^inflate/", r"ST/patch_inflated/"),
    (r"^cell/", r"ST/layer/"),
)
PYRAMID: Rules = (
    (r"^embed/", r"Downsample/patch_embed/"),
    (r"^spare_embed/", r"Upsample/patch_embed/"),
    (r"^inflate/", r"Upsample/Unembed/"),
    (r"^down_(\d+)_resample/", r"Downsample/downsample/\1/"),
    (r"^up_(\d+)_resample/", r"Upsample/upsample/\1/"),
    (r"^down_(\d+)/", r"Downsample/layers/\1/"),
    (r"^up_(\d+)/", r"Upsample/layers/\1/"),
)


def read_lists(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Lists of integers, "2,6" in a configuration file."""
    return {
        field: entries.integers(config, field)
        for field in LISTS
        if isinstance(config.get(field), str)
    }


def write_lists(module: Backbone) -> dict[str, str]:
    """The inverse of `read_lists`."""
    fields = {field: getattr(module, field, None) for field in LISTS}
    return {
        field: entries.joined(value) for field, value in fields.items() if isinstance(value, tuple)
    }
