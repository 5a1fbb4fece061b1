"""splat2d under jit, vmap, checkpoint, scan and over eight devices."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from pallas_kernels import splat2d

OPTIONS = {"height": 10, "width": 13, "window": 5}


def arguments(*batch, count=6, channels=2):
    rng = np.random.default_rng(0)
    arrays = (
        rng.uniform(-2, 14, (*batch, count, 2)),
        rng.uniform(0.5, 3, (*batch, count, 2)),
        rng.uniform(-3, 3, (*batch, count)),
        rng.normal(size=(*batch, count, channels)),
    )
    return [jnp.asarray(x, jnp.float32) for x in arrays]


@jax.jit
def draw(*arrays):
    return splat2d(*arrays, **OPTIONS)


@jax.jit
def gradients(*arrays):
    return jax.grad(lambda *a: jnp.sin(draw(*a)).sum(), argnums=(0, 1, 2, 3))(*arrays)


def assert_equal(got, want, atol=1e-5):
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(x, y, atol=atol)


@pytest.mark.parametrize("function", [draw, gradients])
def test_batch_is_vmap_is_loop(function):
    arrays = arguments(3, 2)
    want = function(*arrays)
    assert jax.tree.leaves(want)[0].shape[:2] == (3, 2)
    assert_equal(jax.vmap(jax.vmap(function))(*arrays), want)
    second = jax.vmap(function, in_axes=1, out_axes=1)(*arrays)
    assert_equal(second, want)
    for i in range(3):
        row = function(*(x[i] for x in arrays))
        assert_equal(row, jax.tree.map(lambda x, i=i: x[i], want))


def test_vmap_over_some_arguments():
    mean, scale, rotation, amplitude = arguments(3)
    batched = jax.vmap(draw, in_axes=(0, None, None, 0))(mean, scale[0], rotation[0], amplitude)
    loop = [draw(m, scale[0], rotation[0], a) for m, a in zip(mean, amplitude, strict=True)]
    assert_equal(batched, jnp.stack(loop))


def test_checkpoint_and_scan():
    arrays = arguments(2)

    def loss(*arrays, wrap=lambda f: f):
        def step(mean, _):
            frame = wrap(draw)(mean, *arrays[1:])
            return mean + 0.5, jnp.sin(frame).sum()

        return jax.lax.scan(step, arrays[0], None, length=3)[1].sum()

    want = sum(jnp.sin(draw(arrays[0] + 0.5 * i, *arrays[1:])).sum() for i in range(3))
    assert_equal(loss(*arrays), want, atol=1e-4)
    plain = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(*arrays)
    saved = jax.jit(jax.grad(lambda *a: loss(*a, wrap=jax.checkpoint), argnums=(0, 1, 2, 3)))
    assert_equal(saved(*arrays), plain)


@pytest.fixture
def uncached():
    """Compiles anew: the key of a program on disk leaves out how frames are partitioned, so that a
    change there would be tested on the program of an earlier run."""
    seconds = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
    yield
    jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


COLLECTIVES = re.compile(r"all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter")


@pytest.mark.usefixtures("uncached")
@pytest.mark.parametrize("function", [draw, gradients])
@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("spec", [P("data"), P(("data", "model"))])
def test_sharded_frames_do_not_communicate(function, axis_type, spec):
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(axis_type,) * 2)
    arrays = arguments(8, 2)
    sharded = [jax.device_put(x, NamedSharding(mesh, spec)) for x in arrays]
    compiled = function.lower(*sharded).compile()
    assert not COLLECTIVES.findall(compiled.as_text())
    got = compiled(*sharded)
    for x in jax.tree.leaves(got):
        assert x.sharding.is_equivalent_to(NamedSharding(mesh, spec), x.ndim)
    assert_equal(jax.device_get(got), function(*arrays))


@pytest.mark.usefixtures("uncached")
@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
def test_some_arguments_sharded(axis_type):
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(axis_type,) * 2)
    arrays = arguments(8)
    shardings = [NamedSharding(mesh, spec) for spec in (P("data"), P(), P("data"), P())]
    mixed = [jax.device_put(x, s) for x, s in zip(arrays, shardings, strict=True)]
    assert_equal(jax.device_get(gradients(*mixed)), gradients(*arrays))


@pytest.mark.usefixtures("uncached")
def test_sharding_gathers_what_is_not_a_frame():
    # Gaussians of one frame on several devices: more communication, the same result.
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    arrays = arguments(4)
    sharded = [jax.device_put(x, NamedSharding(mesh, P("data", "model"))) for x in arrays]
    assert_equal(jax.device_get(gradients(*sharded)), gradients(*arrays))


@pytest.mark.usefixtures("uncached")
def test_under_a_mesh_that_no_argument_names():
    """Frames that are sharded inside the program, and frames that all devices have."""
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    arrays = arguments(8)
    want = draw(*arrays)

    def sharded(*arrays):
        return draw(*(jax.lax.with_sharding_constraint(x, P("data")) for x in arrays))

    with jax.set_mesh(mesh):
        assert_equal(jax.device_get(jax.jit(lambda *x: draw(*x))(*arrays)), want)
        compiled = jax.jit(sharded).lower(*arrays).compile()
        assert not re.search("all-(gather|reduce|to-all)", compiled.as_text())
        assert_equal(jax.device_get(compiled(*arrays)), want)


@pytest.mark.usefixtures("uncached")
def test_inside_shard_map():
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    arrays = arguments(8)
    mapped = jax.shard_map(
        gradients, mesh=mesh, in_specs=P("data"), out_specs=P("data"), check_vma=False
    )
    assert_equal(jax.device_get(jax.jit(mapped)(*arrays)), gradients(*arrays))


def test_outside_jit_nothing_compiles_twice(caplog):
    arrays = arguments(2, count=5)

    def compilations():
        caplog.clear()
        with jax.log_compiles(), caplog.at_level("WARNING"):
            splat2d(*arrays, **OPTIONS)
        return sum("compilation of" in record.getMessage() for record in caplog.records)

    assert compilations() > 0
    assert compilations() == 0
