"""How large a backbone is: parameters, and multiply-accumulate operations."""

import math

import jax
import jax.numpy as jnp

from pdr_jax.backbones.base import Backbone, FramePredictor


def parameters(module: Backbone) -> int:
    """Number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(_variables(module)["params"]))


def gmacs(module: Backbone, horizon: int | None = None) -> float:
    """Billions of multiply-accumulates of one clip's prediction, much as OpenSTL's tables count.

    Half of the floating-point operations that XLA's cost analysis finds in the program before it
    is optimised. Products with the zeros outside the frame, which those tables count, are left
    out, and of a loop within a step (VMRNN's scans) one turn is counted. A backbone that predicts
    whole clips is counted for one pass, as in those tables; one that predicts frames for all
    T + horizon - 1 steps.
    """
    variables = _variables(module)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    if not isinstance(module, FramePredictor):
        return _flops(module.apply, variables, frames) / 2e9

    def start(variables, frames):
        return module.apply(variables, frames, method="start")

    def step(variables, state, frame):
        return module.apply(variables, state, frame, False, method="step")

    state = jax.eval_shape(start, variables, frames)
    frame = jax.ShapeDtypeStruct((1, *module.in_shape[1:]), jnp.float32)
    steps = module.in_shape[0] + module.check_horizon(horizon) - 1
    return steps * _flops(step, variables, state, frame) / 2e9


def _variables(module: Backbone):
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    return jax.eval_shape(module.init, jax.random.key(0), frames)


def _flops(function, *arguments) -> float:
    cost = jax.jit(function).lower(*arguments).cost_analysis()
    flops = cost["flops"] if cost else math.nan
    return float(flops)
