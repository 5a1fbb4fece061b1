"""State dicts of the public PyTorch code to variables of the backbones here, and back."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from pdr_jax import backbones
from pdr_jax.backbones import Backbone
from pdr_jax.interop import clues, configurations, layouts
from pdr_jax.interop.family import Family, family, model_type, renamed
from pdr_jax.interop.layouts import Layout

# The last part of a path here -> the last part of the key there.
_LEAVES = {
    "kernel": ".weight",
    "scale": ".weight",
    "bias": ".bias",
    "mean": ".running_mean",
    "var": ".running_var",
}

# Hyperparameters that count layers.
_COUNTS = re.compile(r"N_|.*(depth|block|layers|num_conv)", re.IGNORECASE)

_NAMED = 3  # keys in a message, of all that have the same fault


class Counterpart(NamedTuple):
    """A variable's key and layout there, and its shape and dtype here."""

    key: str
    layout: Layout
    leaf: jax.ShapeDtypeStruct


def from_openstl(
    config: Mapping[str, Any], state_dict: Mapping[str, np.ndarray]
) -> tuple[Backbone, dict[str, Any]]:
    """A backbone with the weights of a model of OpenSTL or PredFormer.

    OpenSTL is its branch OpenSTL-Lightning, commit c74deb5d, and the model zoo of v0.3. A backbone
    with the option `faithful` gets faithful=True: the weights were trained in the public code.

    Args:
      config: the arguments of the public model: model_type or method, in_shape (T, C, H, W) and
        hyperparameters. Entries that the backbone does not have (training settings, versions) are
        ignored.
      state_dict: the model's parameters and buffers under PyTorch's names and in its layouts.
        `num_batches_tracked` is ignored: the running averages here do not need it.

    Returns:
      The backbone, and its variables for `module.apply(variables, frames)` with frames
      (B, T, H, W, C).

    Raises:
      ValueError: the model type is unknown; config lacks an entry; or a weight is missing, not
        expected, of another shape than config implies, no floating-point number, or not finite. The
        message names it.
    """
    kind = family(config)
    _check_layers(kind, config, len(state_dict))
    try:
        module = build(kind, config)
    except KeyError as error:
        raise ValueError(f"config: {error} is missing; {model_type(config)} needs it") from error
    pairs = counterparts(module, kind)
    if problems := _problems(pairs, kind, state_dict):
        shapes = {key: np.shape(value) for key, value in state_dict.items()}
        reasons = clues.contradictions(model_type(config), shapes, module) or (
            "check in_shape and the hyperparameters",
        )
        raise ValueError(
            f"state_dict does not fit its config: {'; '.join(reasons)}. {'; '.join(problems)}"
        )
    check_numbers({pair.key: state_dict[pair.key] for pair in pairs.values()})
    variables = {
        path: jnp.asarray(layout.read(np.asarray(state_dict[key], leaf.dtype)))
        for path, (key, layout, leaf) in pairs.items()
    }
    return module, unflatten_dict(variables, sep="/")


def to_openstl(
    module: Backbone, kind: Family, variables: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The inverse of `from_openstl`: what PyTorch's load_state_dict(strict=True) takes.

    Args:
      module: a backbone that computes what the public model computes.
      kind: the backbone's family.
      variables: the backbone's variables.

    Raises:
      ValueError: the variables are not the backbone's, or not finite.
    """
    flat = flatten_dict(dict(variables), sep="/")
    pairs = counterparts(module, kind)
    if set(flat) != set(pairs):
        raise ValueError(f"variables do not fit the backbone: {sorted(set(flat) ^ set(pairs))}")
    state = {
        pair.key: np.ascontiguousarray(pair.layout.write(np.asarray(flat[path])))
        for path, pair in pairs.items()
    }
    check_numbers(state)
    for key in list(state):
        if key.endswith(".running_mean"):
            counter = key.removesuffix("running_mean") + "num_batches_tracked"
            state[counter] = np.zeros((), np.int64)
    for pattern, replacement in kind.copies:
        shared = {key: value for key, value in state.items() if re.search(pattern, key)}
        state |= {re.sub(pattern, replacement, key): value for key, value in shared.items()}
    return {**state, **kind.buffers(module)}


def check_numbers(state_dict: Mapping[str, np.ndarray]) -> None:
    """Checks that weights are finite as float32.

    Raises:
      ValueError: some are not, or are no floating-point numbers; the message names the first key.
    """
    broken = {}
    for key, value in state_dict.items():
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise ValueError(f"state_dict: {key} holds {value.dtype}; expected floating point")
        with np.errstate(over="ignore"):
            if count := np.count_nonzero(~np.isfinite(np.asarray(value, np.float32))):
                broken[key] = f"{count} of its {value.size} values"
    if broken:
        first = next(iter(broken))
        raise ValueError(
            f"state_dict: {first} is NaN or infinite in {broken[first]}, and so are values of "
            f"{len(broken) - 1} other keys; expected finite weights, as of an earlier checkpoint"
        )


def build(kind: Family, config: Mapping[str, Any]) -> Backbone:
    """The backbone that a configuration of the public code describes.

    Raises:
      KeyError: the configuration lacks an entry.
      ValueError: an entry has an impossible value.
    """
    config = configurations.flat(config)
    length, channels, height, width = kind.in_shape(config)
    known = backbones.hyperparameters(kind.backbone)
    given = {field: config[field] for field in known if field in config} | kind.options(config)
    if "faithful" in known:
        given["faithful"] = True
    return backbones.create(kind.backbone, in_shape=(length, height, width, channels), **given)


def counterparts(module: Backbone, kind: Family) -> dict[str, Counterpart]:
    """The counterpart there of every variable here, by path ("params/a/b/kernel")."""
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), frames)
    return {
        path: _counterpart(path, leaf, kind)
        for path, leaf in flatten_dict(variables, sep="/").items()
    }


def _counterpart(path: str, leaf: Any, kind: Family) -> Counterpart:
    _, _, path = path.partition("/")  # drops the collection
    module, _, name = path.rpartition("/")
    if name not in _LEAVES:  # a parameter of the module itself, such as a layer scale
        module, suffix = path, ""
    else:
        suffix = _LEAVES[name]
    key = renamed(module, kind.rules) + suffix
    for pattern, layout in kind.layouts:
        if re.search(pattern, key):
            return Counterpart(key, layout, leaf)
    return Counterpart(key, layouts.default(name, leaf.ndim), leaf)


def _check_layers(kind: Family, config: Mapping[str, Any], weights: int) -> None:
    """Refuses more layers than there are weights, before the model is built, which takes long.

    Raises:
      ValueError: there are more.
    """
    for field in config.keys() & backbones.hyperparameters(kind.backbone):
        value = config[field]
        parts = value.split(",") if isinstance(value, str) else np.ravel(value).tolist()
        numbers = [part for part in parts if isinstance(part, int)]
        layers = sum(numbers) if _COUNTS.match(field) else len(parts)
        if layers > weights:
            raise ValueError(f"{field} asks for {layers} layers; there are {weights} weights")


def _problems(
    pairs: Mapping[str, Counterpart], kind: Family, state_dict: Mapping[str, np.ndarray]
) -> list[str]:
    """In words, how the keys and shapes of a state dict are not those of the variables."""
    ignored = re.compile("|".join((r"\.num_batches_tracked$", *kind.ignored)))
    unused = {key for key in state_dict if not ignored.search(key)}
    missing, misshapen = [], []
    for key, layout, leaf in pairs.values():
        if key not in state_dict:
            missing.append(key)
            continue
        unused.discard(key)
        found, shape = np.shape(state_dict[key]), layout.shape(leaf.shape)
        if found != shape:
            misshapen.append(f"{key} {found}, expected {shape}")
    return [
        f"{what}: {_few(sorted(keys))}"
        for what, keys in (("missing", missing), ("not expected", unused), ("misshapen", misshapen))
        if keys
    ]


def _few(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
