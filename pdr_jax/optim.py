"""Optimisers and schedules of the field, as one optax transformation.

The schedules are those of the published trainings (OpenSTL): PyTorch's OneCycleLR, and timm's
CosineLRScheduler stepped once an epoch. optax's schedules of these names differ by one step.
"""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax


def onecycle(
    peak: float,
    total_steps: int,
    *,
    warmup: float = 0.3,
    div: float = 25.0,
    final_div: float = 1e4,
) -> optax.Schedule:
    """torch.optim.lr_scheduler.OneCycleLR: a cosine up to the peak, then a cosine down.

    Args:
      peak: the highest learning rate.
      total_steps: optimiser steps of the whole run.
      warmup: the share of steps before the peak.
      div: peak over the first learning rate.
      final_div: first over the last learning rate.
    """
    top, last = _onecycle_phases(total_steps, warmup)
    return optax.piecewise_interpolate_schedule(
        "cosine", peak / div, {top: div, last: 1 / (div * final_div)}
    )


def onecycle_beta1(
    total_steps: int, *, warmup: float = 0.3, base: float = 0.85, top: float = 0.95
) -> optax.Schedule:
    """Adam's beta1 as OneCycleLR cycles it against the learning rate: top -> base -> top."""
    low, last = _onecycle_phases(total_steps, warmup)
    return optax.piecewise_interpolate_schedule("cosine", top, {low: base / top, last: top / base})


def _onecycle_phases(total_steps: int, warmup: float) -> tuple[float, float]:
    # PyTorch's phases end at fractional steps; the maximum keeps a run of a few steps defined.
    top = max(warmup * total_steps - 1, 1e-6)
    return top, max(total_steps - 1.0, top + 1e-6)


def cosine(
    peak: float,
    epochs: int,
    steps_per_epoch: int,
    *,
    warmup_epochs: int = 0,
    minimum: float = 1e-6,
    warmup_start: float = 1e-5,
) -> optax.Schedule:
    """Timm's CosineLRScheduler as OpenSTL steps it: constant within an epoch.

    Args:
      peak: the learning rate at the top of the cosine.
      epochs: epochs of the whole run, warm-up included.
      steps_per_epoch: optimiser steps in an epoch.
      warmup_epochs: epochs of linear warm-up, which replace the first epochs of the cosine.
      minimum: the learning rate at the end of the cosine.
      warmup_start: the first learning rate of the warm-up.
    """
    decay = optax.cosine_decay_schedule(peak, epochs, alpha=minimum / peak)

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        epoch = jnp.asarray(step) // steps_per_epoch
        warm = warmup_start + epoch * (peak - warmup_start) / max(warmup_epochs, 1)
        return jnp.where(epoch < warmup_epochs, warm, decay(epoch))

    return schedule


def create(
    *,
    optimizer: Literal["adam", "adamw"],
    learning_rate: float,
    schedule: Literal["onecycle", "cosine", "constant"],
    total_steps: int,
    epochs: int,
    warmup_epochs: int = 0,
    weight_decay: float = 0.0,
    decay: Literal["all", "kernels"] = "kernels",
    clip_norm: float = 0.0,
) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """An optimiser and its learning-rate schedule.

    Args:
      optimizer: "adam" or "adamw" (decoupled weight decay).
      learning_rate: the peak.
      schedule: "onecycle" (also cycles Adam's beta1, as PyTorch does), "cosine" or "constant".
      total_steps: optimiser steps of the whole run.
      epochs: epochs of the whole run, the unit of the cosine schedule.
      warmup_epochs: epochs of linear warm-up, for "cosine".
      weight_decay: for "adamw".
      decay: which parameters decay: "all" (PyTorch's default, so the paper's) or "kernels". The
        latter spares biases, norms, the fusion and the Gaussians' starting positions, scales and
        amplitudes: decay would pull the grid of positions to the frame's centre.
      clip_norm: the largest global gradient norm; 0 does not clip.

    Raises:
      ValueError: an unknown name, or a value out of range.
    """
    if total_steps < 1 or epochs < 1:
        raise ValueError(f"total_steps={total_steps}, epochs={epochs}: expected 1 or more")
    if learning_rate <= 0:
        raise ValueError(f"learning_rate={learning_rate}: expected more than 0")
    adam = optax.scale_by_adam()
    if schedule == "onecycle":
        rate = onecycle(learning_rate, total_steps)
        # Only beta1 changes; as an array, beta2 would lose digits in the bias correction.
        inject = optax.inject_hyperparams(optax.scale_by_adam, ("b2", "eps", "eps_root"))
        adam = inject(b1=onecycle_beta1(total_steps))
    elif schedule == "cosine":
        rate = cosine(
            learning_rate, epochs, math.ceil(total_steps / epochs), warmup_epochs=warmup_epochs
        )
    elif schedule == "constant":
        rate = optax.constant_schedule(learning_rate)
    else:
        raise ValueError(f"schedule={schedule!r}: expected 'onecycle', 'cosine' or 'constant'")

    steps = [adam]
    if optimizer == "adamw":
        steps.append(
            optax.add_decayed_weights(weight_decay, mask=decay_mask if decay == "kernels" else None)
        )
    elif optimizer != "adam":
        raise ValueError(f"optimizer={optimizer!r}: expected 'adam' or 'adamw'")
    steps.append(optax.scale_by_learning_rate(rate))
    if clip_norm:
        steps.insert(0, optax.clip_by_global_norm(clip_norm))
    return optax.chain(*steps), rate


def of_part(tx: optax.GradientTransformation, part: str) -> optax.GradientTransformation:
    """An optimiser that moves and knows the parameters of one part of a model alone."""

    def init(params: optax.Params) -> optax.OptState:
        return tx.init({part: params[part]})

    def update(grads: Any, state: optax.OptState, params: Any = None) -> Any:
        own = None if params is None else {part: params[part]}
        moved, state = tx.update({part: grads[part]}, state, own)
        return {**optax.tree.zeros_like(grads), **moved}, state

    return optax.GradientTransformation(init, update)


def decay_mask(params: optax.Params) -> optax.Params:
    """True for the parameters that decay under "kernels": all kernels but the fusion's."""

    def is_kernel(path: tuple, _: jax.Array) -> bool:
        names = [key.key for key in path]
        return names[-1] == "kernel" and "fuse_conv" not in names

    return jax.tree_util.tree_map_with_path(is_kernel, params)
