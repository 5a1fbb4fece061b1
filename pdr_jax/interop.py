"""Weights from other code bases, as variables of this project's modules."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from pdr_jax import backbones

Rules = tuple[tuple[str, str], ...]


class Family(NamedTuple):
    """How one OpenSTL model type maps to a backbone.

    Attributes:
      backbone: its name here.
      rules: (pattern, replacement) pairs applied in order to a module's path here ("a/b/c") to
        get the path there ("a.b.c").
    """

    backbone: str
    rules: Rules


_SHELL: Rules = (
    (r"^encoder/layer_(\d+)/(conv|norm)", r"enc.enc.\1.conv.\2"),
    (r"^decoder/layer_(\d*[02468])/conv", r"dec.dec.\1.conv.conv.0"),  # these double the size
    (r"^decoder/layer_(\d+)/(conv|norm)", r"dec.dec.\1.conv.\2"),
    (r"^decoder/readout", r"dec.readout"),
)
_METAFORMER: Rules = (
    *_SHELL,
    (r"^translator/block_(\d+)/", r"hid.enc.\1.block/"),
    (r"^translator/reduction_(\d+)", r"hid.enc.\1.reduction"),
)
_GATED_ATTENTION: Rules = (
    *_METAFORMER,
    (r"/scale_(\d)$", r".layer_scale_\1"),
    (r"/norm_(\d)$", r".norm\1"),
    (r"/attention/proj_in$", r".attn.proj_1"),
    (r"/attention/proj_out$", r".attn.proj_2"),
    (r"/attention/gate/near$", r".attn.spatial_gating_unit.conv0"),
    (r"/attention/gate/far$", r".attn.spatial_gating_unit.conv_spatial"),
    (r"/attention/gate/mix$", r".attn.spatial_gating_unit.conv1"),
    (r"/attention/gate/squeeze$", r".attn.spatial_gating_unit.fc.0"),
    (r"/attention/gate/excite$", r".attn.spatial_gating_unit.fc.2"),
    (r"/mlp/expand$", r".mlp.fc1"),
    (r"/mlp/depthwise$", r".mlp.dwconv.dwconv"),
    (r"/mlp/contract$", r".mlp.fc2"),
)
_INCEPU: Rules = (
    *_SHELL,
    (r"^translator/down_(\d+)", r"hid.enc.\1"),
    (r"^translator/up_(\d+)", r"hid.dec.\1"),
    (r"/reduce$", r".conv1"),
    (r"/(conv|norm)_(\d)$", r".layers.\2.\1"),
)

# By OpenSTL's model_type, in lower case.
OPENSTL: dict[str, Family] = {
    "incepu": Family("simvp_incepu", _INCEPU),
    "gsta": Family("simvp_gsta", _GATED_ATTENTION),
    "tau": Family("tau", _GATED_ATTENTION),
}

_LEAVES = {
    "kernel": ".weight",
    "scale": ".weight",
    "bias": ".bias",
    "mean": ".running_mean",
    "var": ".running_var",
}


def from_openstl(
    config: Mapping[str, Any], state_dict: Mapping[str, np.ndarray]
) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuilds a model of OpenSTL (branch OpenSTL-Lightning, commit c74deb5d) with its weights.

    Args:
      config: the arguments that the model was made with: model_type ("tau", "gSTA", "IncepU"),
        in_shape (T, C, H, W) and hyperparameters; entries that are no hyperparameters of the
        backbone (training settings, versions) are ignored.
      state_dict: the model's parameters and buffers under PyTorch's names and in its layouts.
        `num_batches_tracked` is ignored: the running averages here do not need it.

    Returns:
      The backbone and its variables, ready for `module.apply(variables, frames)` with frames
      (B, T, H, W, C).

    Raises:
      ValueError: if the model type is unknown, or a weight is missing, superfluous or of another
        shape than the configuration implies; the message names it.
    """
    family = _family(config)
    length, channels, height, width = config["in_shape"]
    known = backbones.hyperparameters(family.backbone)
    module = backbones.create(
        family.backbone,
        in_shape=(length, height, width, channels),
        **{field: config[field] for field in known if field in config},
    )
    frames = jax.ShapeDtypeStruct((1, length, height, width, channels), jnp.float32)
    expected = flatten_dict(jax.eval_shape(module.init, jax.random.key(0), frames), sep="/")
    return module, _convert(expected, family.rules, state_dict)


def _family(config: Mapping[str, Any]) -> Family:
    model_type = str(config.get("model_type") or config.get("method") or "").lower()
    if model_type == "simvp":  # OpenSTL's default for this method
        model_type = "gsta"
    if model_type not in OPENSTL:
        raise ValueError(
            f"config has model_type = {config.get('model_type')!r}; "
            f"expected one of {', '.join(OPENSTL)}"
        )
    return OPENSTL[model_type]


def _convert(
    expected: Mapping[str, Any], rules: Rules, state_dict: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    unused = {key for key in state_dict if not key.endswith(".num_batches_tracked")}
    variables, missing, misshapen = {}, [], []
    for path, leaf in expected.items():
        key = _torch_key(path, rules)
        if key not in state_dict:
            missing.append(key)
            continue
        unused.discard(key)
        value, shape = np.asarray(state_dict[key]), _torch_shape(leaf.shape)
        if value.shape == shape:
            variables[path] = jnp.asarray(_layout(key)(value), leaf.dtype)
        else:
            misshapen.append(f"{key} {value.shape}, expected {shape}")
    problems = [
        f"{what}: {', '.join(sorted(keys))}"
        for what, keys in (("missing", missing), ("not expected", unused), ("misshapen", misshapen))
        if keys
    ]
    if problems:
        raise ValueError(
            f"state_dict does not fit its config; {'; '.join(problems)}. "
            f"Check in_shape and the hyperparameters"
        )
    return unflatten_dict(variables, sep="/")


def _torch_key(path: str, rules: Rules) -> str:
    """PyTorch's name of the variable that is called "collection/module/.../leaf" here."""
    _, _, path = path.partition("/")
    module, _, leaf = path.rpartition("/")
    if leaf not in _LEAVES:  # a parameter of the module itself, such as a layer scale
        module, suffix = path, ""
    else:
        suffix = _LEAVES[leaf]
    for pattern, replacement in rules:
        module = re.sub(pattern, replacement, module)
    return module.replace("/", ".") + suffix


def _layout(key: str) -> Callable[[np.ndarray], np.ndarray]:
    if re.match(r"dec\.dec\.\d+\.conv\.conv\.0\.", key):
        return lambda value: _to_channels_last(_shuffled(value))
    return _to_channels_last


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]


def _to_channels_last(value: np.ndarray) -> np.ndarray:
    """Convolution OIHW -> HWIO, linear (out, in) -> (in, out)."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def _shuffled(value: np.ndarray) -> np.ndarray:
    """PixelShuffle's output channels (C, 2, 2) -> (2, 2, C), as conv_sc.depth_to_space reads."""
    cells = value.reshape(-1, 2, 2, *value.shape[1:])
    return np.moveaxis(cells, 0, 2).reshape(value.shape)
