"""Keeps the deprecation of Pallas Triton from those who use the kernels.

JAX warns when it lowers a kernel, long after `pallas_call` has returned and inside the user's
jax.jit, where `-W error` would end a training. So kernels are put into a primitive whose lowering
is that of its content, without this one warning.
"""

import warnings
from collections.abc import Callable

import jax
from jax.extend.core import Primitive, jaxpr_as_fun
from jax.interpreters import mlir

_content = Primitive("pallas_kernels")
_content.multiple_results = True
_content.def_abstract_eval(lambda *_, function, results: results)
_content.def_impl(lambda *args, function, results: function(*args))


def quiet(function: Callable) -> Callable:
    """The function of arrays, lowered without the warning. It has no gradient and no vmap."""

    def call(*args):
        jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        traced = jaxpr_as_fun(jaxpr)  # JAX would look into a jaxpr for what it has to lower itself
        out = _content.bind(*args, function=traced, results=tuple(jaxpr.out_avals))
        return jax.tree.unflatten(jax.tree.structure(shapes), out)

    return call


def _lower(context, *args, function, results):
    with warnings.catch_warnings():
        message = "The Pallas Triton backend is deprecated"
        warnings.filterwarnings("ignore", message, DeprecationWarning)
        return mlir.lower_fun(function, multiple_results=True)(context, *args)


mlir.register_lowering(_content, _lower)
