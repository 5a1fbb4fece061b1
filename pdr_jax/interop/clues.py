"""What a state dict tells of its model: the type, by its keys, and sizes, by its shapes."""

import re
from collections.abc import Mapping
from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.interop.shape_readers import LENGTHS, READERS, SHELLS, Shapes

# (pattern, model type): the first pattern that some key matches counts.
_SIGNS = (
    (r"^hid\.dec\.", "incepu"),
    (r"^hid\..*\.spatial_gating_unit\.fc\.", "tau"),
    (r"^hid\..*\.spatial_gating_unit\.", "gsta"),  # or VAN, see model_type
    (r"^hid\..*\.conv_pw\.", "convmixer"),
    (r"^hid\..*\.conv_dw\.", "convnext"),
    (r"^hid\..*\.gnconv\.", "hornet"),
    (r"^hid\..*\.mlp_tokens\.", "mlp"),
    (r"^hid\..*\.DW_conv0\.", "moga"),
    (r"^hid\..*\.relative_position_bias_table$", "swin"),
    (r"^hid\..*\.pos_embed\.", "uniformer"),
    (r"^hid\..*\.attn\.qkv\.", "vit"),
    (r"^hid\..*\.layer_scale_1$", "poolformer"),
    (r"^hid\.cel\.", "pfg"),
    (r"^hid\.predictor\.", "mmvp"),
    (r"^ST\..*\.STBs\.", "swinlstm_b"),
    (r"^Downsample\..*\.STBs\.", "swinlstm_d"),
    (r"^ST\..*\.VSBs\.", "vmrnn_b"),
    (r"^Downsample\..*\.VSBs\.", "vmrnn_d"),
    (r"^to_patch_embedding\.", "predformer"),
    (r"^wavelet_embed1\.", "wast"),
    (r"^stu\.", "dmvfn"),
    (r"^Ahat\.", "prednet"),
    (r"^frame_predictor\.", "crevnet"),
    (r"^initial_encoder\.", "earthformer"),
    (r"^encoder\.encoder_Ep\.", "phydnet"),
    (r"^encoders\.0\.encoder_t_conv-1\.", "mau"),
    (r"^stlstm_layer_diff\.", "mim"),
    (r"^gradient_highway\.", "predrnnpp"),
    (r"^adapter\.", "predrnnv2"),
    (r"^cell_list\.0\.conv_gm\.", "e3dlstm"),
    (r"^cell_list\.0\.conv_m\.", "predrnn"),
    (r"^cell_list\.0\.conv_x\.", "convlstm"),
)

# Settings that change what a model computes, but no name or shape of its weights.
_TRACELESS = {
    "mau": ("tau", "cell_mode", "model_mode"),
    "phydnet": ("patch_size",),
    "predformer": ("variant", "heads", "dim_head", "residual"),
    "dmvfn": ("scale", "beta"),
    "prednet": ("pixel_max", "error_activation", "A_activation"),
}


def model_type(shapes: Shapes) -> str:
    """The model type, as in `pdr_jax.interop.names()`; "" if no known model has such keys."""
    for pattern, name in _SIGNS:
        if any(re.search(pattern, key) for key in shapes):
            return "van" if name == "gsta" and _is_van(shapes) else name
    return ""


def _is_van(shapes: Shapes) -> bool:
    """VAN's conv1 has as many outputs as inputs; gSTA's has twice as many."""
    kernels = [shapes[key] for key in shapes if key.endswith(".spatial_gating_unit.conv1.weight")]
    return bool(kernels) and kernels[0][:1] == kernels[0][1:2]


def sizes(name: str, shapes: Shapes, channels: int) -> dict[str, Any]:
    """The hyperparameters that shapes tell.

    Args:
      name: the model type.
      shapes: of the state dict's tensors, by key.
      channels: of a frame.

    Returns:
      Hyperparameters by name; none if shapes of this type are not read, or are not of this type.
    """
    try:
        return READERS[name](shapes, channels)
    except (LookupError, StopIteration, ValueError, ZeroDivisionError):
        return {}


def length(name: str, shapes: Shapes) -> int | None:
    """T, the observed frames, if the weights depend on it; else None."""
    try:
        return LENGTHS[name](shapes)
    except (LookupError, StopIteration, ZeroDivisionError):
        return None


def contradictions(name: str, shapes: Shapes, module: Backbone) -> tuple[str, ...]:
    """The sizes in which a backbone differs from the weights, in words."""
    told = {**sizes(name, shapes, module.in_shape[-1]), "T": length(name, shapes)}
    if name in SHELLS:
        told["C"] = shapes.get("enc.enc.0.conv.conv.weight", (0, None))[1]
    has = {**vars(module), "T": module.in_shape[0], "C": module.in_shape[-1]}
    return tuple(
        f"{field} = {_listed(has[field])} is asked for, {_listed(value)} in the weights"
        for field, value in told.items()
        if field in has and value is not None and _listed(has[field]) != _listed(value)
    )


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def missing(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings that leave no trace in the weights and that the configuration lacks."""
    return tuple(field for field in _TRACELESS.get(name, ()) if field not in config)


def are_read(name: str) -> bool:
    """Whether `sizes` can read models of this type."""
    return name in READERS
