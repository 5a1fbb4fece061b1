"""OpenSTL's recurrent family: ConvLSTM, PredRNN, PredRNN++, PredRNNv2, MIM and E3D-LSTM."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.interop import entries
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import MAP, Layout

GATES: Rules = (
    (r"/conv_(\w+)$", r".conv_\1.0"),
    (r"/norm_(\w+)$", r".conv_\1.1"),
    (r"/last$", r".conv_last"),
    (r"^readout$", r"conv_last"),
)
STACK: Rules = (*GATES, (r"^cells_(\d+)", r"cell_list.\1"))
HIGHWAY: Rules = ((r"^highway/conv_([xz])$", r"gradient_highway.\1_concat.0"), *STACK)
MIM: Rules = (
    (r"^(changes_\d+|cells_\d+/mim_s)/conv_([hx])$", r"\1/conv_\2_concat"),
    (r"^(changes_\d+|cells_\d+/mim_s)/norm_([hx])$", r"\1/norm_\2_concat"),
    (r"^(cells_[1-9]\d*)/conv_([tsx])$", r"\1/conv_\2_cc"),
    (r"^(cells_[1-9]\d*)/norm_([tsx])$", r"\1/norm_\2_cc"),
    (r"/mim_s", ""),
    *GATES,
    (r"^cells_(\d+)", r"stlstm_layer.\1"),
    (r"^changes_(\d+)", r"stlstm_layer_diff.\1"),
)
EIDETIC: Rules = (
    (r"/conv_(\w+)$", r".conv_\1.0.conv3d"),
    (r"/norm$", r"._norm_c_t"),
    (r"/last$", r".conv_last.conv3d"),
    *STACK,
)


def deep(depth: int) -> Layout:
    """A 3D convolution (O, I, depth, H, W) there; here 2D, with its `depth` frames as channels."""

    def read(a: np.ndarray) -> np.ndarray:
        rows, columns = a.shape[-2:]
        return a.transpose(3, 4, 2, 1, 0).reshape(rows, columns, -1, a.shape[0])

    def write(a: np.ndarray) -> np.ndarray:
        rows, columns, _, features = a.shape
        return a.reshape(rows, columns, depth, -1, features).transpose(4, 3, 2, 0, 1)

    return Layout(read, write)


EIDETIC_LAYOUTS = (
    (r"\.conv_last\.conv3d\.weight$", deep(1)),
    (r"conv3d\.weight$|^conv_last\.weight$", deep(2)),
    (r"\.(_norm_c_t|1)\.(weight|bias)$", MAP),
)


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Widths, "128,128" there, and layer_norm, 0 or 1 there."""
    return {
        "num_hidden": entries.integers(config, "num_hidden"),
        "layer_norm": bool(config.get("layer_norm", False)),
    }


def eidetic_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """OpenSTL's E3D-LSTM has 5x5 kernels, whatever the configuration says."""
    return options(config) | {"filter_size": 5}


def config(module: Backbone) -> dict[str, Any]:
    """The inverse of `options`, and the stride, which OpenSTL asks for and which must be 1."""
    shell: Any = module
    return {
        "num_hidden": entries.joined(shell.num_hidden),
        "layer_norm": int(shell.layer_norm),
        "stride": 1,
    }


FAMILIES = {
    "convlstm": Family("convlstm", STACK, options=options, config=config),
    "predrnn": Family("predrnn", STACK, options=options, config=config),
    "predrnnpp": Family("predrnnpp", HIGHWAY, options=options, config=config),
    "predrnnv2": Family("predrnnv2", STACK, options=options, config=config),
    "mim": Family("mim", MIM, options=options, config=config),
    "e3dlstm": Family("e3dlstm", EIDETIC, EIDETIC_LAYOUTS, eidetic_options, config),
}
