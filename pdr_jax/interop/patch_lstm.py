"""What the state dicts and configurations of SwinLSTM and VMRNN have in common."""

from collections.abc import Mapping
from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.interop.family import Rules
from pdr_jax.interop.layouts import TRANSPOSED

DOUBLINGS = 8  # of the resolution, more than anyone needs
LISTS = ("depths_downsample", "depths_upsample", "num_heads")

CONVOLUTIONS = range(0, 3 * DOUBLINGS, 3)  # in there between a norm and an activation
LAYOUTS = (
    (r"\.Conv\.weight$", TRANSPOSED),
    *((rf"\.Conv_\.{i}\.weight$", TRANSPOSED) for i in CONVOLUTIONS),
)


def rules(blocks: str, joining: str) -> Rules:
    """Rules for all but the insides of a cell's blocks.

    Args:
      blocks: the name there of a cell's list of blocks.
      joining: the name there of the layer in a block that joins its two inputs.
    """
    return (
        (r"^embed$", r"embed/proj"),
        (r"^spare_embed$", r"spare_embed/proj"),
        (r"_resample/reduce$", r"_resample/reduction"),
        (r"_resample/widen$", r"_resample/expand"),
        (r"/spare_(\d+)$", rf"/block_\1/{joining}"),
        (r"/reduce$", rf"/{joining}"),
        (r"/block_(\d+)", rf"/{blocks}/\1"),
        *((rf"^inflate/conv_{i // 3}$", f"inflate/Conv_/{i}") for i in CONVOLUTIONS),
        *((rf"^inflate/norm_{i // 3}$", f"inflate/Conv_/{i + 1}") for i in CONVOLUTIONS),
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
    """Lists, which are "2,6" in a configuration file and numbers in the model."""
    return {
        field: tuple(map(int, config[field].split(",")))
        for field in LISTS
        if isinstance(config.get(field), str)
    }


def write_lists(module: Backbone) -> dict[str, str]:
    """The inverse."""
    fields = {field: getattr(module, field, None) for field in LISTS}
    return {
        field: ",".join(map(str, value))
        for field, value in fields.items()
        if isinstance(value, tuple)
    }
