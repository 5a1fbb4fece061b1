"""OpenSTL's PhyDNet."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.phydnet import taylor_matrix
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import TRANSPOSED

RULES: Rules = (
    (r"/conv_(\d)$", r"/c\1.main.0"),
    (r"/norm_(\d)$", r"/c\1.main.1"),
    (r"^decoder(\w*)/", r"decoder\1/up"),
    (r"^encoder/", r"encoder.encoder_E."),
    (r"^encoder_(p|r)\w+/", r"encoder.encoder_E\1."),
    (r"^decoder/", r"encoder.decoder_D."),
    (r"^decoder_(p|r)\w+/", r"encoder.decoder_D\1."),
    (r"^readout$", r"encoder.decoder_D.upc3"),
    (r"^residual_(\d+)/", r"encoder.convcell.cell_list.\1."),
    (r"^physics/filters$", r"encoder.phycell.cell_list.0.F.conv1"),
    (r"^physics/norm$", r"encoder.phycell.cell_list.0.F.bn1"),
    (r"^physics/combine$", r"encoder.phycell.cell_list.0.F.conv2"),
    (r"^physics/gate$", r"encoder.phycell.cell_list.0.convgate"),
)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    patch_size = config.get("patch_size")
    return {"patch_size": patch_size if patch_size in (2, 4) else 4}  # as OpenSTL does


def _buffers(module: Backbone) -> dict[str, np.ndarray]:
    """The matrices that turn kernels into moments, and their inverses."""
    taylor = taylor_matrix(module.kernel_size)
    inverse = np.linalg.inv(taylor)
    return {
        f"k2m._{name}{axis}": m for name, m in (("M", taylor), ("invM", inverse)) for axis in (0, 1)
    }


FAMILIES = {
    "phydnet": Family(
        "phydnet",
        RULES,
        ((r"^encoder\.decoder_D[pr]?\.upc\d\.(main\.0\.)?weight$", TRANSPOSED),),
        options=_options,
        ignored=(r"^k2m\.", r"^(phycell|convcell)\."),
        buffers=_buffers,
        copies=((r"^encoder\.(phycell|convcell)\.", r"\1."),),
    )
}
