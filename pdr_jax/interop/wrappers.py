"""Finds a model's own state dict among what wrapped, counted, averaged or judged the model.

Remarks say in words what was left out.
"""

import re
from collections.abc import Mapping

import numpy as np

from pdr_jax.interop import clues

State = Mapping[str, np.ndarray]

# The attribute that holds the model in a LightningModule: OpenSTL's, Earthformer's.
LIGHTNING = ("model.", "torch_nn_module.")
# Parts of keys that wrappers add, around the model or around some of its modules: several devices,
# averaged weights, torch.compile, FSDP, DeepSpeed, recomputed activations.
WRAPPERS = {
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_forward_module",
    "_checkpoint_wrapped_module",
}
# Counters that tools leave beside weights -> what they count.
COUNTERS = {
    "n_averaged": "models that were averaged",
    "total_ops": "operations, by thop",
    "total_params": "parameters, by thop",
}
LOSS = re.compile("loss|criteri|metric|lpips|ssim|perceptual|vgg", re.IGNORECASE)
# Forms of weights that cannot be read -> how to save the weights themselves.
UNREADABLE = (
    (r"(^|\.|_)flat_param", "FSDP's flat parameters: save with StateDictType.FULL_STATE_DICT"),
    (r"\.(weight|bias)_(orig|mask)$", "pruned weights: save after torch.nn.utils.prune.remove"),
    (r"\.weight_[gv]$", "normalised weights: save after torch.nn.utils.remove_weight_norm"),
    (r"(^|\.)parametrizations\.", "parametrized weights: save after remove_parametrizations"),
    (r"(^|\.)lora_", "low-rank adapters: save after merging them into the weights"),
    (r"_packed_params", "quantised weights: save those before quantisation"),
)
DEEPEST = 4  # parts of a prefix that is looked for


def unwrapped(state: State, name: str) -> tuple[dict[str, np.ndarray], str, list[str]]:
    """The model's own state dict.

    Args:
      state: arrays by name.
      name: of the file, for error messages.

    Returns:
      The model's parameters and buffers; the prefix that was taken off their keys; and remarks.

    Raises:
      ValueError: the weights are in a form that cannot be read; there are several models; two keys
        become one; or beside the model there is something that is no loss.
    """
    remarks = []
    for pattern, advice in UNREADABLE:
        if found := [key for key in state if re.search(pattern, key)]:
            raise ValueError(f"{name} holds {found[0]}, as of {advice}")
    for counter, counted in COUNTERS.items():
        left_out = {k for k, v in state.items() if k.split(".")[-1] == counter and v.size == 1}
        if left_out:
            remarks.append(f"{counter} ({counted}) is left out.")
            state = {key: value for key, value in state.items() if key not in left_out}
    bare: dict[str, np.ndarray] = {}
    for key, value in state.items():
        short = ".".join(part for part in key.split(".") if part not in WRAPPERS)
        if short in bare:
            raise ValueError(f"{name} holds {short} twice, once as {key}: keep one of the two")
        bare[short] = value
    prefix = _prefix(bare, name)
    model = {k.removeprefix(prefix): v for k, v in bare.items() if k.startswith(prefix)}
    if beside := [key for key in bare if not key.startswith(prefix)]:
        remarks += _without_loss(beside, f"{name}, beside the model ({prefix}*)")
    judges = [key for key in model if LOSS.search(key.split(".")[0])]
    if 0 < len(judges) < len(model):
        remarks += _without_loss(judges, name)
        model = {key: value for key, value in model.items() if key not in judges}
    # OpenSTL's EMA hook keeps the parameters that it replaced as buffers of the model.
    replaced = {f"ema_{key.replace('.', '_')}" for key in model}
    model = {key: value for key, value in model.items() if key not in replaced}
    return model, prefix, remarks


def _prefix(state: State, name: str) -> str:
    """What stands before every key of the model; "" if its keys are bare, or of no known model."""
    if _known(state, ""):
        return ""
    for depth in range(1, DEEPEST + 1):
        prefixes = {
            ".".join(key.split(".")[:depth]) + "." for key in state if key.count(".") >= depth
        }
        found = sorted(prefix for prefix in prefixes if _known(state, prefix))
        if len(found) > 1:
            raise ValueError(
                f"{name} holds several models, {' and '.join(found)}: keep the keys of one"
            )
        if found:
            return found[0]
    return next((p for p in LIGHTNING if any(key.startswith(p) for key in state)), "")


def _known(state: State, prefix: str) -> bool:
    shapes = {k.removeprefix(prefix): v.shape for k, v in state.items() if k.startswith(prefix)}
    return bool(clues.model_type(shapes))


def _without_loss(keys: list[str], where: str) -> list[str]:
    """A remark that the keys are left out.

    Raises:
      ValueError: one of them is no loss's.
    """
    if others := [key for key in keys if not LOSS.search(key)]:
        raise ValueError(
            f"{where}, holds {', '.join(others[:3])}: expected the model alone; keep its keys only"
        )
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return [f"{', '.join(keys[:3])}{more}: of a loss, left out."]
