"""What a state dict tells of its model: the type, by its keys, and sizes, by its shapes."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pdr_jax.backbones import Backbone

Shapes = Mapping[str, tuple[int, ...]]

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
        return _READERS[name](shapes, channels)
    except (LookupError, StopIteration, ValueError, ZeroDivisionError):
        return {}


def length(name: str, shapes: Shapes) -> int | None:
    """T, the observed frames, if the weights depend on it; else None."""
    if name not in _SHELLS or not (shell := sizes(name, shapes, 0)) or not shell["hid_S"]:
        return None
    return _packed(shapes) // shell["hid_S"]


def contradictions(name: str, shapes: Shapes, module: Backbone) -> tuple[str, ...]:
    """The sizes in which a backbone differs from the weights, in words."""
    told = {**sizes(name, shapes, module.in_shape[-1]), "T": length(name, shapes)}
    if name in _SHELLS:
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
    return name in _READERS


def _numbered(shapes: Shapes, pattern: str) -> list[tuple[int, ...]]:
    """The shapes under the keys that match `pattern`, ordered by the number in its group."""
    found = {int(m[1]): shapes[key] for key in shapes if (m := re.fullmatch(pattern, key))}
    return [found[number] for number in sorted(found)]


def _packed(shapes: Shapes) -> int:
    """Channels of the translator's input, T * hid_S."""
    if "hid.enc.0.conv1.weight" in shapes:
        return shapes["hid.enc.0.conv1.weight"][1]
    if "hid.cel.norm.weight" in shapes:
        return shapes["hid.cel.norm.weight"][0]
    norm = re.compile(r"hid\.enc\.0\.block\.norm(_?1)?\.weight")
    return next(shape[0] for key, shape in shapes.items() if norm.fullmatch(key))


def _shell(shapes: Shapes, channels: int) -> dict[str, Any]:
    kernels = _numbered(shapes, r"enc\.enc\.(\d+)\.conv\.conv\.weight")
    last = f"dec.dec.{len(kernels) - 1}.conv.conv.weight"
    return {
        "hid_S": kernels[0][0],
        "N_S": len(kernels),
        "spatio_kernel_enc": kernels[0][-1],
        "spatio_kernel_dec": shapes[last][-1],
    }


def _incepu(shapes: Shapes, channels: int) -> dict[str, Any]:
    blocks = _numbered(shapes, r"hid\.enc\.(\d+)\.layers\.0\.conv\.weight")
    return {**_shell(shapes, channels), "hid_T": blocks[0][0], "N_T": len(blocks)}


def _metaformer(shapes: Shapes, channels: int) -> dict[str, Any]:
    packed = _packed(shapes)
    blocks = {key.split(".")[2] for key in shapes if key.startswith("hid.enc.")}
    widest = shapes.get("hid.enc.0.reduction.weight", (packed,))[0]
    found = {**_shell(shapes, channels), "hid_T": widest, "N_T": len(blocks)}
    expand = re.compile(r"hid\.enc\.0\.block\.(mlp\.fc1|mlp_channels\.fc1|pwconv1)\.weight")
    for key, shape in shapes.items():
        if expand.fullmatch(key):
            found["mlp_ratio"] = shape[0] / packed
    return found


def _pfg(shapes: Shapes, channels: int) -> dict[str, Any]:
    stem = _numbered(shapes, r"hid\.cel\.branches\.(\d+)\.0\.dw_h\.weight")
    block = _numbered(shapes, r"hid\.blocks\.0\.tm\.branches\.(\d+)\.dw_h\.weight")
    return {
        **_shell(shapes, channels),
        "N_T": len(_numbered(shapes, r"hid\.blocks\.(\d+)\.gamma_dw")),
        "cel_k": [shape[-1] for shape in stem],
        "pfga_K": [shape[-1] for shape in block],
    }


def _recurrent(shapes: Shapes, channels: int) -> dict[str, Any]:
    cells = r"(?:cell_list|stlstm_layer)\.(\d+)\.conv_last(?:\.conv3d)?\.weight"
    hidden = r"(?:cell_list|stlstm_layer)\.(0)\.conv_h\.0(?:\.conv3d)?\.weight"
    return {
        "num_hidden": [shape[0] for shape in _numbered(shapes, cells)],
        "filter_size": _numbered(shapes, hidden)[0][-1],
        "patch_size": math.isqrt(shapes["conv_last.weight"][0] // channels),
        "layer_norm": any(re.search(r"\.conv_x\.1\.weight$", key) for key in shapes),
    }


def _mau(shapes: Shapes, channels: int) -> dict[str, Any]:
    cells = _numbered(shapes, r"cell_list\.(\d+)\.conv_t_next\.0\.weight")
    halvings = len(_numbered(shapes, r"decoders\.(\d+)\.c_decoder\d+\.weight"))
    return {
        "num_hidden": [shape[0] for shape in cells],
        "filter_size": cells[0][-1],
        "sr_size": 2**halvings,
        "patch_size": math.isqrt(shapes["srcnn.0.weight"][0] // channels),
    }


def _predformer(shapes: Shapes, channels: int) -> dict[str, Any]:
    dim, pixels = shapes["to_patch_embedding.1.weight"]
    variant = ""
    for pattern, name in (
        (r"^space_temporal_transformer\.", "FullAttention"),
        (r"\.space_transformer_second\.", "Triplet_STS"),
        (r"\.temporal_transformer_second\.", "Triplet_TST"),
    ):
        if any(re.search(pattern, key) for key in shapes):
            variant = name
    in_layers = {
        order
        for order in ("st", "ts")
        if f"blocks.0.{order}_space_transformer.norm.weight" in shapes
    }
    if len(in_layers) == 1:
        variant = f"Binary_{in_layers.pop().upper()}"
    layers = len({key.split(".")[1] for key in shapes if key.startswith("blocks.")})
    blocks = len(
        {m[1] for key in shapes if (m := re.search(r"transformer\w*\.layers\.(\d+)\.", key))}
    )
    hidden = next(shape[0] for key, shape in shapes.items() if key.endswith(".fn.fc1_g.weight"))
    return {
        "patch_size": math.isqrt(pixels // channels),
        "dim": dim,
        "scale_dim": hidden // dim,
        "Ndepth": layers or blocks,
        "depth": blocks if layers else 1,
        **({"variant": variant} if variant else {}),
        **({} if layers else {"residual": False}),  # only layers can have a residual around them
    }


_SHELLS = {
    "incepu": _incepu,
    "pfg": _pfg,
    **dict.fromkeys(
        (
            "gsta", "tau", "convmixer", "convnext", "hornet", "mlp", "moga", "poolformer", "swin",
            "uniformer", "van", "vit",
        ),
        _metaformer,
    ),
}  # fmt: skip
_READERS: dict[str, Callable[[Shapes, int], dict[str, Any]]] = {
    **_SHELLS,
    **dict.fromkeys(
        ("convlstm", "predrnn", "predrnnpp", "predrnnv2", "mim", "e3dlstm"), _recurrent
    ),
    "mau": _mau,
    "predformer": _predformer,
}
