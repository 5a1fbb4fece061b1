"""How large a backbone is: parameters, and multiply-accumulate operations."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pdr_jax.backbones.base import Backbone, FramePredictor


def parameters(module: Backbone) -> int:
    """Number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(_variables(module)["params"]))


def gmacs(module: Backbone, horizon: int | None = None) -> float:
    """Billions of multiply-accumulates of one clip's prediction, much as OpenSTL's tables count.

    This is half of `flops`, the same number on every machine. It includes elementwise operations,
    which OpenSTL's tables leave out, and excludes products with the zeros outside the frame, which
    they include. A backbone that predicts whole clips is counted for one pass, as in these tables;
    a backbone that predicts frame by frame, for all T + horizon - 1 steps.

    Args:
      module: the backbone.
      horizon: frames to predict, in_shape's T by default; only for those that predict frame by
        frame.

    Raises:
      RuntimeError: as `flops`.
      ValueError: the horizon is not positive.
    """
    variables = _variables(module)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    if not isinstance(module, FramePredictor):
        return flops(module.apply, variables, frames) / 2e9
    horizon = module.check_horizon(horizon)
    start = functools.partial(module.apply, method="start")
    once = flops(start, variables, frames)
    # The steps are a loop; the cost analysis counts one turn of it.
    turn = flops(functools.partial(module.apply, horizon=horizon), variables, frames) - once
    return (once + (module.in_shape[0] + horizon - 1) * turn) / 2e9


def _variables(module: Backbone) -> Any:
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    return jax.eval_shape(module.init, jax.random.key(0), frames)


def flops(function: Callable[..., Any], *arguments: Any) -> float:
    """Floating-point operations that XLA's cost analysis finds in a function, not yet optimised.

    Args:
      function: of arrays.
      *arguments: pytrees of arrays, or of `jax.ShapeDtypeStruct`.

    Raises:
      RuntimeError: JAX's CPU back end, which counts, is turned off: JAX_PLATFORMS without cpu.
    """
    # Layers have forms of their own for CPUs, some with loops, which count once: the forms for
    # other platforms are counted. Only the CPU back end analyses programs that are not compiled.
    with jax.default_device("cpu"):
        traced = jax.jit(function).trace(*arguments)
        cost = traced.lower(lowering_platforms=("cuda",)).cost_analysis()
    return float(cost.get("flops", 0))
