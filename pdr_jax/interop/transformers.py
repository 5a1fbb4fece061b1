"""OpenSTL's SimVP with the translators that have attention: Swin Transformer, UniFormer, ViT."""

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.layers.cuboids import relative_index
from pdr_jax.backbones.layers.windows import added_mask
from pdr_jax.backbones.swin import Swin
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.metaformers import MLP, NORMS
from pdr_jax.interop.simvp import METAFORMER, SHELL_LAYOUTS

VIT: Rules = (
    *METAFORMER,
    *NORMS,
    *MLP,
    (r"/attention", r".attn"),
)
SWIN: Rules = (
    *METAFORMER,
    *NORMS,
    *MLP,
    (r"/relative_position_bias$", r".relative_position_bias_table"),
    (r"/attention/attention|/attention", r".attn"),
)
UNIFORMER: Rules = (
    *METAFORMER,
    (r"/position$", r".pos_embed"),
    (r"/transformer/", r"/"),
    *NORMS,
    (r"/scale_(\d)$", r".gamma_\1"),
    (r"/proj_in$", r".conv1"),
    (r"/mix$", r".attn"),
    (r"/proj_out$", r".conv2"),
    (r"block/(expand|contract)$", r"block.mlp/\1"),
    *MLP,
    (r"/attention", r".attn"),
)


def swin_buffers(module: Backbone) -> dict[str, np.ndarray]:
    """The tables of relative positions, and the masks, of OpenSTL's Swin."""
    assert isinstance(module, Swin)
    buffers = {}
    for number in range(module.N_T):
        block, windows = f"hid.enc.{number}.block", module.windows(number)
        positions = relative_index(windows.size).astype(np.int64)
        buffers[f"{block}.attn.relative_position_index"] = positions
        mask = added_mask(windows, *module.grid())
        if mask is not None:
            buffers[f"{block}.attn_mask"] = mask
    return buffers


FAMILIES = {
    "swin": Family(
        "simvp_swin",
        SWIN,
        SHELL_LAYOUTS,
        ignored=(r"\.attn\.relative_position_index$", r"\.attn_mask$"),
        buffers=swin_buffers,
    ),
    "uniformer": Family("simvp_uniformer", UNIFORMER, SHELL_LAYOUTS),
    "vit": Family("simvp_vit", VIT, SHELL_LAYOUTS),
}
