"""The training step, a pure function. `pdr_jax.runs.fit` is the loop around it.

The caller binds the keyword arguments of `train_step`, and jits it with the state donated:

    step = jax.jit(functools.partial(train_step, model=model, loss=loss, tx=tx, clip=clip),
                   donate_argnums=0)
    state, logs = step(state, frames)
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from pdr_jax.backbones import Forcing
from pdr_jax.diagnostics import gradient_norms
from pdr_jax.sampling import Sampling
from pdr_jax.sharding import averaged_over_devices

Loss = Callable[[jax.Array, jax.Array], jax.Array]


class Units(Protocol):
    """The map between stored units (uint8, kelvin) and model units; `pdr_datasets.Units` is one.

    It must be hashable.
    """

    def normalise(self, frames: Any) -> Any:
        """Stored units (..., C), any dtype -> model units, float32."""

    def denormalise(self, frames: Any) -> Any:
        """The inverse of `normalise`: model units -> stored units, float32."""


class ClipSpec(struct.PyTreeNode):
    """How a stored clip becomes what the model sees.

    Attributes:
      in_length: observed frames, T.
      horizon: frames to predict, T'.
      units: of the stored clip.
      fill: what the model sees where a pixel is missing (NaN), in model units; None where none can
        be, which costs nothing.
    """

    in_length: int = struct.field(pytree_node=False)
    horizon: int = struct.field(pytree_node=False)
    units: Units = struct.field(pytree_node=False)
    fill: float | None = struct.field(pytree_node=False, default=None)

    def split(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(B, T + T', H, W, C) of any dtype -> observed and target frames, float32, model units.

        Observed frames are filled; NaN marks the missing pixels of target frames.

        Raises:
          ValueError: the clips are shorter than T + T'.
        """
        if frames.shape[1] < self.in_length + self.horizon:
            raise ValueError(
                f"frames has {frames.shape[1]} time steps; expected {self.in_length} observed and "
                f"{self.horizon} to predict"
            )
        frames = self.units.normalise(frames[:, : self.in_length + self.horizon])
        return self.filled(frames[:, : self.in_length]), frames[:, self.in_length :]

    def filled(self, frames: jax.Array) -> jax.Array:
        """Frames in model units, `fill` where NaN marks a missing pixel."""
        return frames if self.fill is None else jnp.where(jnp.isnan(frames), self.fill, frames)


class TrainState(struct.PyTreeNode):
    """Everything that changes from step to step, and nothing else.

    Attributes:
      step: optimiser steps taken, int32.
      params: parameters, float32.
      batch_stats: running statistics of the normalisation layers, float32.
      opt_state: the optimiser's state.
      ema: exponential moving averages, {"params": ..., "batch_stats": ...}, or None. Statistics are
        averaged too, because averaged parameters need them.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    ema: Any = None

    def variables(self) -> dict[str, Any]:
        """What `model.apply` takes in evaluation: the averages if the state keeps them."""
        if self.ema is not None:
            return self.ema
        return {"params": self.params, "batch_stats": self.batch_stats}


def init_state(
    model: nn.Module,
    tx: optax.GradientTransformation,
    frames: jax.Array,
    *,
    clip: ClipSpec,
    seed: int,
    ema: bool = False,
) -> TrainState:
    """The state before the first step.

    Args:
      model: a `pdr_jax.pdr.PDR`.
      tx: the optimiser.
      frames: (B, T + T', H, W, C) clips in stored units; the Gaussians' starting positions may
        depend on them.
      clip: how to split and scale the clips.
      seed: of the parameters.
      ema: whether the state keeps averages.
    """
    observed, _ = clip.split(frames)
    variables = model.init(jax.random.key(seed), observed, clip.horizon)
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=tx.init(variables["params"]),
    )
    return state.replace(ema=jax.tree.map(jnp.copy, state.variables())) if ema else state


def train_step(
    state: TrainState,
    frames: jax.Array,
    *,
    model: nn.Module,
    loss: Loss,
    tx: optax.GradientTransformation,
    clip: ClipSpec,
    seed: int = 0,
    ema_decay: float = 0.999,
    coarse_weight: float = 0.0,
    sampling: Sampling | None = None,
    accumulate: int = 1,
) -> tuple[TrainState, Mapping[str, jax.Array]]:
    """One optimisation step.

    The loss compares the prediction with the target. A recurrent backbone also predicts observed
    frames; these predictions are compared too, from its frame `first_scored` on. Terms that a
    backbone or a residual module sows into the collection "losses" are added.

    Args:
      state: the state before the step.
      frames: (B, T + T', H, W, C) clips in stored units, such as uint8 frames.
      model: a `pdr_jax.pdr.PDR`.
      loss: loss(prediction, target) -> scalar.
      tx: the optimiser.
      clip: how to split and scale the clips.
      seed: the step's randomness is a function of `seed` and `state.step`.
      ema_decay: decay of the averages, if the state keeps them.
      coarse_weight: weight of the same loss on the coarse frames.
      sampling: which true frames a recurrent backbone sees; None shows it the observed frames only.
      accumulate: micro-batches of B / accumulate clips that the gradient is averaged over, for less
        memory. Batch normalisation sees a micro-batch at a time, and moves its statistics each
        time. All else is as for the whole batch, but that dropout draws anew.

    Returns:
      The state after the step, and scalars to log: loss, loss/PART for the terms that a part of the
      model sows, grad_norm, and grad_norm/PART.
    """
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    given = None
    if sampling is not None:
        given = sampling.given(
            jax.random.fold_in(key, 1), state.step, len(frames), clip.in_length, clip.horizon
        )

    def objective(params: Any, batch_stats: Any, key: jax.Array, clips: Any) -> Any:
        frames, given = clips
        observed, target = clip.split(frames)
        output, updates = model.apply(
            {"params": params, "batch_stats": batch_stats},
            observed,
            clip.horizon,
            train=True,
            forcing=None if given is None else Forcing(clip.filled(target), given),
            target=target,
            method="decompose",
            rngs={"dropout": key},
            mutable=["batch_stats", "losses", "warmup"],
        )
        terms = {
            part: sum(jnp.sum(term) for term in jax.tree.leaves(sown))
            for part, sown in updates.get("losses", {}).items()
        }
        warmup = jax.tree.leaves(updates.get("warmup", {}))
        predicted, truth = output.prediction, target
        if warmup:
            (before,) = warmup
            predicted = jnp.concatenate([before, predicted], axis=1)
            # Normalised anew, for observed frames with the NaN of what is missing.
            whole = observed if clip.fill is None else clip.units.normalise(frames)
            seen = whole[:, clip.in_length - before.shape[1] : clip.in_length]
            truth = jnp.concatenate([seen, truth], axis=1)
        with jax.named_scope("loss"):
            value = loss(predicted, truth)
            if coarse_weight:
                value = value + coarse_weight * loss(output.coarse, target)
            value += sum(terms.values())
        return value, (updates.get("batch_stats", {}), terms)

    def gradient(everywhere: Any, clips: Any) -> Any:
        return jax.value_and_grad(objective, has_aux=True)(*everywhere, clips)

    averaged = _in_micro_batches(gradient, accumulate) if accumulate > 1 else gradient
    (value, (batch_stats, terms)), grads = averaged_over_devices(averaged)(
        (state.params, state.batch_stats, key), (frames, given)
    )
    with jax.named_scope("optimiser"):
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema is not None:
            latest = {"params": params, "batch_stats": batch_stats}
            # In this form what does not change keeps every bit.
            ema = jax.tree.map(lambda mean, new: mean + (1 - ema_decay) * (new - mean), ema, latest)
    logs = {"loss": value, "grad_norm": optax.tree.norm(grads)}
    logs |= {f"loss/{part}": term for part, term in terms.items()}
    logs |= {f"grad_norm/{part}": norm for part, norm in gradient_norms(grads).items()}
    return TrainState(state.step + 1, params, batch_stats, opt_state, ema), logs


def _in_micro_batches(gradient: Callable[[Any, Any], Any], parts: int) -> Callable[[Any, Any], Any]:
    """The mean of `gradient`, of one micro-batch after the other: every `parts`-th clip."""

    def mean(everywhere: Any, clips: Any) -> Any:
        params, batch_stats, key = everywhere

        def add(carry: Any, part: Any) -> tuple[Any, Any]:
            total, batch_stats = carry
            index, clips = part
            here = (params, batch_stats, jax.random.fold_in(key, index))
            (value, (batch_stats, terms)), grads = gradient(here, clips)
            return (jax.tree.map(jnp.add, total, grads), batch_stats), (value, terms)

        split = jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), clips)
        start = (optax.tree.zeros_like(params), batch_stats)
        (total, batch_stats), values = jax.lax.scan(add, start, (jnp.arange(parts), split))
        value, terms = jax.tree.map(jnp.mean, values)
        return (value, (batch_stats, terms)), jax.tree.map(lambda x: x / parts, total)

    return mean
