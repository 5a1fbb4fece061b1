"""Reads the sizes of a model from the shapes of its weights."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
Reader = Callable[[Shapes, int], dict[str, Any]]  # shapes and a frame's channels -> sizes by name


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


# MMVP's convolution from the channels of all observed matrices to those of all predicted ones.
_TRANSLATE = "hid.predictor.predictor.conv_translate.0.weight"


def _mmvp(shapes: Shapes, channels: int) -> dict[str, Any]:
    hidden = shapes["hid.predictor.conv1.weight"][0]
    finer = _numbered(shapes, r"dec\.upsample_block\.(\d+)\.up\.weight")
    scales = [shape[-1] for shape in (shapes["dec.upsample_block_low2high.up.weight"], *finer)]
    depths = {
        "rrdb_encoder_num": r"enc\.block_rrdb",
        "rrdb_decoder_num": r"dec\.rrdb_block",
        "rrdb_enhance_num": r"enhance\.model",
    }
    return {
        "aft_seq_length": shapes[_TRANSLATE][0] // hidden,
        "hid_S": shapes["enc.inconv.weight"][0],
        "hid_T": hidden,
        "downsample_setting": scales[::-1],
        **{
            name: len(_numbered(shapes, rf"{place}\.(\d+)\.RDB1\.conv1\.weight"))
            for name, place in depths.items()
        },
    }


SHELLS: dict[str, Reader] = {
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
READERS: dict[str, Reader] = {
    **SHELLS,
    **dict.fromkeys(
        ("convlstm", "predrnn", "predrnnpp", "predrnnv2", "mim", "e3dlstm"), _recurrent
    ),
    "mau": _mau,
    "predformer": _predformer,
    "mmvp": _mmvp,
}
# Model type -> T, the observed frames, where the weights depend on it.
LENGTHS: dict[str, Callable[[Shapes], int]] = {
    **dict.fromkeys(SHELLS, lambda shapes: _packed(shapes) // _shell(shapes, 0)["hid_S"]),
    "mmvp": lambda shapes: shapes[_TRANSLATE][1] // _mmvp(shapes, 0)["hid_T"] + 1,
}
