"""Which implementation runs: trials of those that fail, environment variables, older GPUs."""

import logging
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas as pl
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from pallas_kernels import gpu, splat2d, ssim
from pallas_kernels.choice import Kernel, call_first, chosen

X = jnp.arange(8.0).reshape(4, 2)


def refused(x, *, factor):
    raise NotImplementedError("not on this machine")


def with_vjp(forward, backward=lambda ct: ct):
    """An implementation of arrays of any shape, from its two halves."""
    function = jax.custom_vjp(forward)
    function.defvjp(lambda x: (forward(x), None), lambda _, ct: (backward(ct),))
    return lambda x, *, factor: function(x)


def lowered_for_a_gpu(x):
    """Pallas compiles nothing for a CPU, and says so when the caller's program is lowered."""
    return pl.pallas_call(lambda x, y: None, out_shape=x)(x)


def unknown_to_xla(x):
    return jax.ffi.ffi_call("nowhere", jax.ShapeDtypeStruct(x.shape, x.dtype))(x)


def refused_by_the_driver(x):
    def launch(x):
        raise RuntimeError("too many resources requested for launch")

    return jax.pure_callback(launch, x, x)


def fails_when_traced(x, *, factor):
    raise ModuleNotFoundError("No module named 'triton'")


def times(x, *, factor):
    return factor * x


def call(x, *names, factor=3.0, **others):
    kernel = Kernel("doubtful", {"xla": times, **others}, ())
    return call_first(kernel, (*names, "xla"), x, factor=factor)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (with_vjp(lowered_for_a_gpu), "Only interpret mode is supported on CPU"),
        (with_vjp(unknown_to_xla), "nowhere"),
        (with_vjp(refused_by_the_driver), "too many resources"),
        (with_vjp(jnp.sin, lowered_for_a_gpu), "Only interpret mode is supported on CPU"),
        (fails_when_traced, "No module named 'triton'"),
    ],
    ids=["lowering", "compilation", "launch", "backward", "trace"],
)
def test_one_that_fails_is_told_once_and_the_next_is_taken(broken, reason, caplog, request):
    name = request.node.callspec.id
    run = jax.jit(jax.grad(lambda x: (call(x, name, **{name: broken}) ** 2).sum()))
    with caplog.at_level(logging.WARNING):
        for frames in (X, X[:3], jnp.ones((2, 5))):
            np.testing.assert_allclose(run(frames), 18 * frames)
    [told] = [x.getMessage() for x in caplog.records if x.name == "pallas_kernels"]
    assert reason in told
    assert f"doubtful: implementation {name!r} does not work here" in told
    assert "PALLAS_KERNELS_DOUBTFUL" in told


def test_a_refusal_is_silent(caplog):
    np.testing.assert_array_equal(call(X, "refused", refused=refused), 3 * X)
    assert not caplog.messages


def test_the_error_of_a_single_one_is_the_callers():
    kernel = Kernel("single", {"broken": with_vjp(lowered_for_a_gpu), "refused": refused}, ())
    with pytest.raises(ValueError, match="Only interpret mode"):
        jax.jit(lambda x: call_first(kernel, ["broken"], x, factor=1))(X)
    with pytest.raises(NotImplementedError, match="refused: not on this machine"):
        call_first(kernel, ["refused"], X, factor=1)
    with pytest.raises(NotImplementedError, match=r"broken: .*Only interpret .*; refused: not"):
        call_first(kernel, ["broken", "refused"], X, factor=1)


def test_a_trial_is_made_once_for_each_shape_of_frames():
    traced = []

    def seen(x, *, factor):
        traced.append(x.shape)
        return factor * x

    run = partial(call, seen=seen)
    for frames in (X, X[:2], X, jnp.ones((3, 5))):
        run(frames, "seen")
    trials = [shape for shape in traced if shape[0] == 1]
    assert trials == [(1, 2), (1, 5)]
    run(X, "seen", factor=2.0)
    assert traced[-2:] == [(1, 2), (4, 2)]


@pytest.mark.parametrize("where", ["vmap", "shard_map", "set_mesh", "disable_jit"])
def test_a_trial_is_outside_of_the_callers_context(where, caplog):
    """One that works is taken, and gives what it gives alone."""

    def marked(x, *, factor):
        return factor * x + 1

    def run(x):
        return call(x, "marked", factor=7.0, marked=marked)

    kind = AxisType.Auto if where == "shard_map" else AxisType.Explicit
    mesh = jax.make_mesh((4,), ("d",), axis_types=(kind,))
    if where == "vmap":
        got = jax.vmap(run, axis_name="i")(X[None])[0]
    elif where == "shard_map":
        got = jax.jit(jax.shard_map(run, mesh=mesh, in_specs=P("d"), out_specs=P("d")))(X)
    elif where == "set_mesh":
        with jax.set_mesh(mesh):
            got = jax.jit(run)(jax.device_put(X, NamedSharding(mesh, P("d"))))
    else:
        with jax.disable_jit():
            got = run(X)
    np.testing.assert_array_equal(got, 7 * X + 1)
    assert not caplog.messages


def test_environment_variables_choose(monkeypatch):
    kernel = Kernel("some_kernel", {"xla": times, "reference": times, "fast": times}, ("fast",))
    assert chosen(kernel, None) == ("xla",)
    monkeypatch.setattr(gpu, "device", lambda: SimpleNamespace(platform="gpu"))
    assert chosen(kernel, None) == ("fast", "xla")
    monkeypatch.setenv("PALLAS_KERNELS_SOME_KERNEL", "reference")
    assert chosen(kernel, None) == ("reference",)
    assert chosen(kernel, "xla") == ("xla",)
    monkeypatch.setenv("PALLAS_KERNELS_SOME_KERNEL", "fast, xla")
    assert chosen(kernel, None) == ("fast", "xla")
    monkeypatch.setenv("PALLAS_KERNELS_SOME_KERNEL", "")
    assert chosen(kernel, None) == ("fast", "xla")
    monkeypatch.setenv("PALLAS_KERNELS_SOME_KERNEL", "fast,quick")
    with pytest.raises(ValueError, match="PALLAS_KERNELS_SOME_KERNEL is 'quick'; expected one of"):
        chosen(kernel, None)


def rendered_and_compared():
    """The value and gradients of an image similarity by both kernels, as a training has them."""
    frame = jnp.linspace(0.0, 1.0, 144).reshape(1, 12, 12, 1)
    gaussians = (jnp.full((1, 2, 2), 5.0), jnp.ones((1, 2, 2)), jnp.ones((1, 2)))

    def loss(amplitude):
        return ssim(splat2d(*gaussians, amplitude, height=12, width=12, window=5), frame)[0]

    return jax.jit(jax.value_and_grad(loss))(jnp.ones((1, 2, 1)))


@pytest.mark.parametrize(
    ("kind", "capability", "told"),
    [
        ("Tesla T4", "7.5", set()),
        ("gfx942", "gfx942", set()),  # AMD
        ("NVIDIA A100-SXM4-40GB", "8.0", {"splat2d", "ssim"}),
    ],
)
def test_training_goes_on_with_xla(kind, capability, told, monkeypatch, caplog):
    """Kernels refuse old GPUs silently. Where they should run, they fail: this is a CPU."""
    want = rendered_and_compared()
    device = SimpleNamespace(platform="gpu", device_kind=kind, compute_capability=capability)
    monkeypatch.setattr(gpu, "device", lambda: device)
    for x, y in zip(rendered_and_compared(), want, strict=True):
        np.testing.assert_array_equal(x, y)
    first = {m.split(":")[0] for m in caplog.messages if "'pallas_triton' does not" in m}
    assert first == told
