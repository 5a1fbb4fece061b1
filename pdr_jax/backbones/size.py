"""How large a backbone is: parameters, and multiply-accumulate operations."""

import functools

import jax
import jax.numpy as jnp

from pdr_jax.backbones.base import Backbone, FramePredictor


def parameters(module: Backbone) -> int:
    """Number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(_variables(module)["params"]))


def gmacs(module: Backbone, horizon: int | None = None) -> float:
    """Billions of multiply-accumulates of one clip's prediction, much as OpenSTL's tables count.

    Half of the floating-point operations that XLA's cost analysis finds in the program before it
    is optimised, the same on every machine: elementwise ones too, which those tables leave out, but
    not products with the zeros outside the frame, which they count. A backbone that predicts whole
    clips is counted for one pass, as in those tables; one that predicts frames for all
    T + horizon - 1 steps.

    Raises:
      RuntimeError: JAX's CPU back end, which counts, is turned off: JAX_PLATFORMS without cpu.
    """
    variables = _variables(module)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    if not isinstance(module, FramePredictor):
        return _flops(module.apply, variables, frames) / 2e9
    horizon = module.check_horizon(horizon)
    start = functools.partial(module.apply, method="start")
    once = _flops(start, variables, frames)
    # The steps are a loop, of which the cost analysis counts one turn.
    turn = _flops(functools.partial(module.apply, horizon=horizon), variables, frames) - once
    return (once + (module.in_shape[0] + horizon - 1) * turn) / 2e9


def _variables(module: Backbone):
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    return jax.eval_shape(module.init, jax.random.key(0), frames)


def _flops(function, *arguments) -> float:
    # CPUs get forms of their own, some with loops: what the others get is counted. Only the CPU
    # back end counts programs that are not compiled.
    with jax.default_device("cpu"):
        traced = jax.jit(function).trace(*arguments)
        cost = traced.lower(lowering_platforms=("cuda",)).cost_analysis()
    return float(cost.get("flops", 0))
