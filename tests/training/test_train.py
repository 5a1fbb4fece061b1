"""The training step: learning, averages, randomness, and the same result over eight devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdr_datasets import Units
from pdr_jax import PDR, PredGS, backbones, losses, optim, predgs
from pdr_jax.sharding import make_mesh, shard_batch, state_shardings, traced_for
from pdr_jax.train import ClipSpec, init_state, train_step

CLIP = ClipSpec(in_length=2, horizon=3, units=Units())


# ConvMixer compiles fastest.
ADAPTERS = {
    "none": None,
    "robust": predgs.create("robust", num_gaussians=16, window=7, pool=4, hidden=8),
    "tracked": predgs.create("tracked", hidden=4),
}


def make(adapter="robust", backbone="simvp_convmixer", **options):
    backbone = backbones.create(
        backbone, in_shape=(2, 8, 8, 1), hid_S=4, hid_T=8, N_S=2, N_T=2, drop_path=0.1
    )
    config = ADAPTERS[adapter]
    model = PDR(backbone, config and PredGS(config), fusion_init="pass_through")
    tx, _ = optim.create(
        optimizer="adamw",
        learning_rate=1e-2,
        schedule="constant",
        total_steps=10,
        epochs=1,
        weight_decay=1e-2,
    )
    step = functools.partial(
        train_step, model=model, loss=losses.create("l1_ssim"), tx=tx, clip=CLIP, **options
    )
    return model, tx, step


def clips():
    return np.random.default_rng(0).integers(0, 256, (8, 5, 8, 8, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def frames():
    return clips()


def test_clip_spec():
    clip = ClipSpec(2, 2, Units((1.0, 2.0), (2.0, 4.0)))
    frames = jnp.arange(2 * 5 * 2).reshape(1, 5, 1, 2, 2)
    observed, target = clip.split(frames)
    np.testing.assert_allclose(observed[0, 0, 0], [[-0.5, -0.25], [0.5, 0.25]])
    np.testing.assert_allclose(clip.units.denormalise(target), frames[:, 2:4].astype(jnp.float32))
    with pytest.raises(ValueError, match="frames has 3 time steps"):
        clip.split(frames[:, :3])


def test_learns_and_changes_every_parameter(frames):
    model, tx, step = make()
    state = init_state(model, tx, frames, clip=CLIP, seed=0, ema=True)
    before = jax.tree.map(np.array, state)
    step = jax.jit(step, donate_argnums=0)
    values = []
    for _ in range(12):
        state, logs = step(state, frames)
        values.append(float(logs["loss"]))
    assert values[-1] < 0.8 * values[0]
    assert int(state.step) == 12
    for part in ("params", "batch_stats", "ema"):
        same = jax.tree.map(
            lambda a, b: np.array_equal(a, b), getattr(before, part), getattr(state, part)
        )
        unchanged = [path for path, equal in jax.tree.leaves_with_path(same) if equal]
        # GroupNorm and BatchNorm follow: these biases cancel.
        assert not [path for path in unchanged if "bias" not in str(path)], part
    assert state.variables() is state.ema
    for name in ("backbone", "fuse_conv", "position", "scale", "rotation", "amplitude"):
        assert float(logs[f"grad_norm/{name}"]) > 0


def test_averages_are_of_parameters_and_statistics(frames):
    model, tx, step = make(adapter="none", ema_decay=0.75)
    state = init_state(model, tx, frames, clip=CLIP, seed=0, ema=True)
    after, _ = jax.jit(step)(state, frames)
    first, last = ({"params": s.params, "batch_stats": s.batch_stats} for s in (state, after))
    expected = jax.tree.map(lambda a, b: 0.75 * a + 0.25 * b, first, last)
    assert jax.tree.leaves(first["batch_stats"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        after.variables(), expected,
    )  # fmt: skip


def test_a_step_keeps_every_shape_and_type(frames):
    """Weak types included: otherwise the second step compiles all over again."""
    model, tx, step = make()
    before = jax.eval_shape(functools.partial(init_state, model, tx, clip=CLIP, seed=0), frames)
    after, _ = jax.eval_shape(step, before, frames)
    for one, two in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (one.shape, one.dtype, one.weak_type) == (two.shape, two.dtype, two.weak_type)


def test_randomness_depends_on_seed_and_step_only(frames):
    model, tx, step = make(adapter="none", backbone="tau")  # ConvMixer drops no paths
    state = init_state(model, tx, frames, clip=CLIP, seed=0)
    run = jax.jit(lambda state, seed: step(state, frames, seed=seed)[1]["loss"])
    one, two = (run(state, 0) for _ in range(2))
    assert one == two
    later = run(state.replace(step=jnp.asarray(7)), 0)
    assert len({float(one), float(run(state, 1)), float(later)}) == 3


@pytest.mark.rest
def test_coarse_weight_supervises_the_coarse_frames(frames):
    model, tx, step = make()
    state = init_state(model, tx, frames, clip=CLIP, seed=0)

    @jax.jit
    def losses_of(state):
        output, _ = model.apply(
            {"params": state.params, "batch_stats": state.batch_stats},
            CLIP.split(frames)[0],
            CLIP.horizon,
            train=True,
            method="decompose",
            rngs={"dropout": jax.random.fold_in(jax.random.key(0), state.step)},
            mutable=["batch_stats"],
        )
        target = CLIP.split(frames)[1]
        return [step.keywords["loss"](x, target) for x in (output.prediction, output.coarse)]

    fused, coarse = losses_of(state)
    both = jax.jit(functools.partial(step, coarse_weight=0.5))(state, frames)[1]["loss"]
    np.testing.assert_allclose(both, fused + 0.5 * coarse, rtol=1e-5)


@functools.cache
def one_step(devices):
    """Loss and state after the same step, laid out over devices."""
    model, _, step = make("tracked")
    frames = clips()
    # Adam's first step is the sign of the gradient, even where that is rounding; SGD's is not.
    tx = optax.sgd(0.1)
    start = functools.partial(init_state, model, tx, clip=CLIP, seed=0)
    mesh = make_mesh(devices)
    shardings = state_shardings(mesh, jax.eval_shape(start, frames))
    state = jax.jit(start, out_shardings=shardings)(frames)
    jitted = jax.jit(
        traced_for(mesh, functools.partial(step, tx=tx)),
        donate_argnums=0,
        out_shardings=(shardings, None),
    )
    state, logs = jitted(state, shard_batch(mesh, frames))
    assert len(jax.tree.leaves(state.params)[0].sharding.device_set) == mesh.size
    return float(logs["loss"]), jax.tree.map(np.asarray, (state.params, state.batch_stats))


@pytest.mark.rest
def test_eight_devices_do_what_one_does():
    (loss1, state1), (loss8, state8) = one_step(1), one_step(8)
    assert loss8 == pytest.approx(loss1, rel=1e-5)
    for one, eight in zip(jax.tree.leaves(state1), jax.tree.leaves(state8), strict=True):
        np.testing.assert_allclose(eight, one, rtol=1e-4, atol=1e-6)


def test_meshes():
    assert dict(make_mesh().shape) == {"data": 8}
    with pytest.raises(ValueError, match="devices=9"):
        make_mesh(9)
    with pytest.raises(ValueError, match="batch_size=6"):
        shard_batch(make_mesh(), np.zeros((6, 1)))
