"""OpenSTL's SimVP with attention in its translator: Swin Transformer, UniFormer and ViT."""

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.swin import Swin
from pdr_jax.interop import windows
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
    *windows.RULES,
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
    """The buffers of every block, see `windows.buffers`."""
    assert isinstance(module, Swin)
    found: dict[str, np.ndarray] = {}
    for number in range(module.N_T):
        block = f"hid.enc.{number}.block"
        found |= windows.buffers(block, module.windows(number), module.grid())
    return found


FAMILIES = {
    "swin": Family(
        "simvp_swin",
        SWIN,
        SHELL_LAYOUTS,
        ignored=windows.IGNORED,
        buffers=swin_buffers,
    ),
    "uniformer": Family("simvp_uniformer", UNIFORMER, SHELL_LAYOUTS),
    "vit": Family("simvp_vit", VIT, SHELL_LAYOUTS),
}
