"""Every backbone, with and without PredGS behind it: one table, the same demands."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import export

from pdr_datasets import Units
from pdr_jax import PDR, PredGS, backbones, losses, predgs, sampling
from pdr_jax.backbones.base import FramePredictor
from pdr_jax.sharding import make_mesh, shard_batch, state_shardings, traced_for
from pdr_jax.train import ClipSpec, TrainState, train_step

SQUARE, OBLONG = (3, 16, 16, 2), (3, 16, 32, 2)
HORIZONS = (2, 3, 5)  # fewer frames than are seen, as many, more

METAFORMER = {"hid_S": 8, "hid_T": 16, "N_S": 2, "N_T": 2, "mlp_ratio": 2.0}
RECURRENT = {"num_hidden": (4, 4), "patch_size": 4, "filter_size": 3}
# name -> hyperparameters that make it small.
SMALL = {
    **{name: METAFORMER for name in backbones.names() if name.startswith("simvp_")},
    "tau": METAFORMER | {"hid_T": 32},
    "pfgnet": {"hid_S": 8, "N_S": 2, "N_T": 1, "cel_k": (3,), "pfga_K": (5, 9)},
    "mmvp": {
        "hid_S": 4,
        "hid_T": 4,
        "rrdb_encoder_num": 0,
        "rrdb_decoder_num": 0,
        "rrdb_enhance_num": 0,
        "downsample_setting": (2, 2),
    },
    "convlstm": RECURRENT,
    "predrnn": RECURRENT,
    "predrnnpp": RECURRENT,
    "predrnnv2": RECURRENT,
    "mim": RECURRENT,
    "e3dlstm": RECURRENT,
    "mau": {"num_hidden": (8, 8), "filter_size": 3, "sr_size": 2, "tau": 2},
    "phydnet": {
        "patch_size": 4,
        "nf": 16,
        "input_dim": 16,
        "hidden_dims": (4, 16),
        "kernel_size": 3,
    },
    "prednet": {"stack_sizes": (4, 4)},
    "swinlstm_b": {"embed_dim": 8, "depths": 2, "num_heads": 2, "patch_size": 2},
    "swinlstm_d": {
        "embed_dim": 8,
        "num_heads": (2,),
        "depths_downsample": (2,),
        "depths_upsample": (1,),
        "patch_size": 2,
        "window_size": 2,
    },
    "vmrnn_b": {"embed_dim": 16, "depths": 2, "patch_size": 4},
    "vmrnn_d": {"embed_dim": 8, "depths_downsample": (1,), "depths_upsample": (1,)},
    "wast": {"encoder_dim": 4, "block_list": (1, 1, 1), "mlp_ratio": 2.0, "drop_path": 0.0},
    "dmvfn": {"num_features": (8, 4), "scale": (2, 1), "routing_out_channels": 4},
    "crevnet": {"nBlocks": (1,), "predictor_rnn_layers": 2},
    "earthformer": {
        "base_units": 16,
        "num_heads": 2,
        "enc_depth": (1,),
        "dec_depth": (2,),
        "num_global_vectors": 2,
        "self_pattern": "divided_st",
        "cross_self_pattern": "divided_st",
        "initial_downsample_scale": 4,
        "initial_downsample_conv_layers": 1,
    },
    "predformer": {"patch_size": 4, "dim": 16, "heads": 2, "dim_head": 8, "Ndepth": 1},
}

every = pytest.mark.parametrize("name", backbones.names())
# Compiling for all takes long: where some stand for the others, `make test-rest` or
# `make test-slow` takes those too.
KINDS = {"simvp_gsta", "predrnnv2", "phydnet", "predformer"}
# SimVP's translators share all but a block, and the deep forms of SwinLSTM and VMRNN all their
# cells. Earthformer's own test trains it. The others compile longest.
LEFT_OUT = {"earthformer", "swinlstm_d", "vmrnn_d", "wast", "dmvfn", "pfgnet", "mmvp"}
TRAINED = {
    name
    for name in backbones.names()
    if name in KINDS or not (name.startswith("simvp_") or name in LEFT_OUT)
}


def some(names, rest=frozenset()):
    """The backbones to test at once, and those that `make test-rest` tests; the others are slow."""

    def marks(name):
        if name in names:
            return ()
        return pytest.mark.rest if name in rest else pytest.mark.slow

    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks(name)) for name in backbones.names()]
    )


def build(name, shape, adapter=True, **options):
    backbone = backbones.create(name, shape, **SMALL[name], **options)
    gaussians = PredGS(
        predgs.create("conv", num_gaussians=shape[1] * shape[2] // 16, window=5, pool=4, hidden=4)
    )
    return PDR(backbone, gaussians if adapter else None, fusion_init="pass_through")


def clip(shape, batch=2, length=None, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.uniform(size=(batch, length or shape[0], *shape[1:])), jnp.float32)


def filled(model, frames):
    """Random variables: compiling the initial values of a whole model takes long."""
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        values = rng.normal(0, 0.2, leaf.shape)
        return jnp.asarray(values + (path[-1].key in ("scale", "var")), leaf.dtype)

    shapes = jax.eval_shape(model.init, jax.random.key(0), frames)
    return jax.tree_util.tree_map_with_path(fill, shapes)


@every
@pytest.mark.parametrize(
    "shape",
    [pytest.param(SQUARE, marks=pytest.mark.slow, id="square"), pytest.param(OBLONG, id="oblong")],
)
def test_shapes_and_dtypes(name, shape):
    """Of the variables, and of every frame that a horizon asks for, with PredGS and without."""
    frames = clip(shape)
    model, plain = build(name, shape), build(name, shape, adapter=False)
    variables = jax.eval_shape(model.init, jax.random.key(0), frames)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    of_backbone = {
        kind: {"backbone": tree["backbone"]}
        for kind, tree in variables.items()
        if "backbone" in tree
    }
    for horizon in HORIZONS:
        apply = functools.partial(model.apply, horizon=horizon, method="decompose")
        out = jax.eval_shape(apply, variables, frames)
        alone = jax.eval_shape(functools.partial(plain.apply, horizon=horizon), of_backbone, frames)
        for part in (out.coarse, out.rendered, out.prediction, alone):
            assert (part.shape, part.dtype) == ((2, horizon, *shape[1:]), jnp.float32)


def make_step(name, shape, horizon, adapter=True):
    """A training step over clips of shape[0] + horizon frames, and a state."""
    model = build(name, shape, adapter)
    clip_spec = ClipSpec(in_length=shape[0], horizon=horizon, units=Units(0.0, 1.0))
    # By the gradient's sign: it moves what Adam moves, and compiles sooner.
    tx = optax.sign_sgd(1e-2)
    recurrent = issubclass(backbones.backbone(name), FramePredictor)
    step = functools.partial(
        train_step,
        model=model,
        loss=losses.create("mse"),
        tx=tx,
        clip=clip_spec,
        sampling=sampling.create("scheduled", rate=0.5) if recurrent else None,
    )
    variables = filled(model, clip(shape))
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=tx.init(variables["params"]),
    )
    return step, state


def check_step(step, state, frames):
    """Finite, compiled once, and it changes every parameter; returns the step's logs."""
    traces = []

    @jax.jit
    def counted(state, frames):
        traces.append(None)
        return step(state, frames)

    after, logs = counted(state, frames)
    assert np.isfinite(logs["loss"])
    assert np.isfinite(logs["grad_norm"])
    same = jax.tree.map(lambda a, b: bool((a == b).all()), state.params, after.params)
    same = jax.tree.leaves_with_path(same)
    assert len(same) >= 5
    assert not [jax.tree_util.keystr(path) for path, equal in same if equal]
    counted(after, frames)
    assert len(traces) == 1
    return logs


@functools.cache
def one_step(name):
    """A step on one device, the state and the clips that it began with, and its logs.

    With PredGS behind one backbone of each kind; `make test-slow` puts it behind all.
    """
    step, state = make_step(name, OBLONG, horizon=3, adapter=name in KINDS)
    # Of the clips of seed 0 one puts a ReLU of CrevNet's so near its kink that rounding decides
    # what eight devices compute.
    frames = np.asarray(clip(OBLONG, batch=8, length=6, seed=1))
    return step, state, frames, check_step(step, state, frames)


@some(KINDS, rest=TRAINED)
def test_a_training_step(name):
    one_step(name)


@some({"predrnnv2"}, rest={"simvp_gsta"})
def test_eight_devices_equal_one(name):
    step, state, frames, alone = one_step(name)
    mesh = make_mesh(8)
    spread = jax.device_put(state, state_shardings(mesh, state))
    _, together = jax.jit(traced_for(mesh, step))(spread, shard_batch(mesh, frames))
    for key in ("loss", "grad_norm"):
        np.testing.assert_allclose(together[key], alone[key], rtol=2e-5)


@pytest.mark.slow
@every
@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("shape", [SQUARE, OBLONG], ids=["square", "oblong"])
@pytest.mark.parametrize("adapter", [False, True], ids=["plain", "predgs"])
def test_every_training_step(name, shape, horizon, adapter):
    step, state = make_step(name, shape, horizon, adapter)
    check_step(step, state, clip(shape, length=shape[0] + horizon))


@some({"predrnnv2", "simvp_convmixer"}, {*backbones.names()})
def test_exported_programs_take_any_batch_on_any_platform(name):
    model = build(name, OBLONG, adapter=False)
    variables = jax.eval_shape(model.init, jax.random.key(0), clip(OBLONG))
    (batch,) = export.symbolic_shape("batch")
    frames = jax.ShapeDtypeStruct((batch, *OBLONG), jnp.float32)
    apply = jax.jit(functools.partial(model.apply, horizon=5))
    program = export.export(apply, platforms=("cpu", "cuda", "tpu"))(variables, frames)
    assert program.out_avals[0].shape == (batch, 5, *OBLONG[1:])


@some(KINDS)
def test_bfloat16(name):
    """Computes in bfloat16 with float32 parameters, and comes out near float32."""
    frames = clip(OBLONG)
    exact, half = (
        build(name, OBLONG, adapter=False, dtype=dtype) for dtype in (jnp.float32, jnp.bfloat16)
    )
    variables = filled(exact, frames)
    both = jax.jit(lambda v, x: (exact.apply(v, x), half.apply(v, x)))
    one, two = both(variables, frames)
    assert two.dtype == jnp.float32
    error = float(jnp.abs(one - two).mean() / jnp.abs(one).mean())
    assert 0 < error < 0.1


@pytest.mark.rest
def test_bfloat16_gradients():
    """Of every parameter: sums over so many pixels that in bfloat16 they would stand still."""
    shape = (3, 32, 32, 2)
    frames = clip(shape, batch=8, length=6)
    exact, half = (
        build("simvp_van", shape, adapter=False, dtype=dtype)
        for dtype in (jnp.float32, jnp.bfloat16)
    )
    variables = filled(exact, frames[:, :3])

    def gradient(model):
        def loss(params):
            out = model.apply({**variables, "params": params}, frames[:, :3])
            return jnp.square(out - frames[:, 3:]).mean()

        return jax.jit(jax.grad(loss))(variables["params"])

    one, two = (jax.tree.leaves_with_path(gradient(model)) for model in (exact, half))
    errors = {
        jax.tree_util.keystr(path): float(jnp.linalg.norm(a - b) / jnp.linalg.norm(a))
        for (path, a), (_, b) in zip(one, two, strict=True)
    }
    assert max(errors.values()) < 0.03, errors
