"""Roll-out a frame at a time: the scan is the loop, true frames are seen where they should be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pdr_datasets import Units
from pdr_jax import PDR, losses, optim, sampling
from pdr_jax.backbones.base import Forcing, FramePredictor
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.train import ClipSpec, init_state, train_step

SHAPE = (3, 4, 5, 2)


class Recurrent(FramePredictor):
    """A dense cell with what a real one can have: a state, statistics, dropout, a loss term."""

    def setup(self):
        self.check()
        self.cell = nn.Dense(2)
        self.norm = BatchNorm()
        self.drop = nn.Dropout(0.5)

    def start(self, frames):
        return jnp.zeros(frames[:, 0].shape, frames.dtype)

    def step(self, state, frame, train):
        state = jnp.tanh(self.cell(self.drop(frame, deterministic=not train) + state))
        if train:
            self.sow("losses", "size", 0.1 * jnp.square(state).mean())
        return state, self.norm(state, train)


@pytest.fixture(scope="module")
def model():
    module = Recurrent(SHAPE)
    frames = jnp.asarray(np.random.default_rng(0).uniform(size=(2, *SHAPE)), jnp.float32)
    return module, module.init(jax.random.key(0), frames), frames


def loop(module, variables, frames, horizon, future=None, given=None):
    """The definition: step by step, in Python."""
    state, own, predicted = jnp.zeros((2, 4, 5, 2)), None, []
    for t in range(frames.shape[1] + horizon - 1):
        if given is None:
            frame = frames[:, t] if t < frames.shape[1] else own
        else:
            true = jnp.concatenate([frames, future], 1)[:, t]
            frame = true if t == 0 else jnp.where(given[:, t, None, None, None], true, own)
        state, own = module.apply(variables, state, frame, False, method="step")
        predicted.append(own)
    return jnp.stack(predicted, 1)


def test_the_scan_is_the_loop(model):
    module, variables, frames = model
    out = module.apply(variables, frames, horizon=5)
    np.testing.assert_allclose(out, loop(*model, 5)[:, 2:], atol=1e-6)
    assert module.apply(variables, frames).shape == (2, *SHAPE)


def test_true_frames_are_seen_where_given(model):
    module, variables, frames = model
    rng = np.random.default_rng(1)
    future = jnp.asarray(rng.uniform(size=(2, 4, 4, 5, 2)), jnp.float32)
    given = jnp.asarray(rng.random((2, 6)) < 0.5)
    out = module.apply(variables, frames, 4, forcing=Forcing(future, given))
    np.testing.assert_allclose(out, loop(*model, 4, future, given)[:, 2:], atol=1e-6)


@pytest.mark.parametrize(
    ("horizon", "steps", "dtype", "error", "message"),
    [
        (3, 5, bool, ValueError, r"forcing.frames has shape \(2, 3, 4, 5, 2\); expected \(2, 2, 4"),
        (2, 5, bool, ValueError, r"forcing.given has shape \(2, 5\); expected \(2, 4\)"),
        (2, 4, int, TypeError, "forcing.given has dtype int32; expected bool"),
    ],
)
def test_forcing_that_does_not_fit_is_refused(model, horizon, steps, dtype, error, message):
    module, variables, frames = model
    forcing = Forcing(jnp.zeros((2, horizon, 4, 5, 2)), jnp.ones((2, steps), dtype))
    with pytest.raises(error, match=message):
        module.apply(variables, frames, 2, forcing=forcing)


def test_training_sows_warmup_losses_and_statistics(model):
    module, variables, frames = model
    _, sown = module.apply(
        variables, frames, train=True, rngs={"dropout": jax.random.key(0)},
        mutable=["warmup", "losses", "batch_stats"],
    )  # fmt: skip
    assert jax.tree.leaves(sown["warmup"])[0].shape == (2, 2, 4, 5, 2)
    assert jax.tree.leaves(sown["losses"])[0].shape == (5,)
    before, after = variables["batch_stats"], sown["batch_stats"]
    assert jnp.abs(before["norm"]["mean"] - after["norm"]["mean"]).max() > 1e-3


def test_a_long_horizon_traces_one_step(model):
    module, variables, frames = model

    def products(horizon):
        jaxpr = jax.make_jaxpr(lambda v, x: module.apply(v, x, horizon=horizon))(variables, frames)
        return str(jaxpr).count("dot_general")

    assert products(40) == products(1) == 1


def test_the_training_loss_covers_warmup_and_terms(model):
    module, _, frames = model
    clip = ClipSpec(in_length=3, horizon=2, units=Units(0.0, 1.0))
    clips = jnp.concatenate([frames, frames[:, :2]], 1)
    tx, _ = optim.create(
        optimizer="adam", learning_rate=0.1, schedule="constant", total_steps=9, epochs=1
    )
    model = PDR(module)
    state = init_state(model, tx, clips, clip=clip, seed=0)
    step = functools.partial(
        train_step, model=model, loss=losses.create("mse"), tx=tx, clip=clip,
        sampling=sampling.create("scheduled", rate=0.5),
    )  # fmt: skip
    seen = {}

    def recorded(prediction, target):
        seen["shapes"] = prediction.shape, target.shape
        return jnp.square(prediction - target).mean()

    jax.eval_shape(functools.partial(step, loss=recorded), state, clips)
    assert seen["shapes"] == ((2, 4, 4, 5, 2), (2, 4, 4, 5, 2))
    jitted = jax.jit(step)
    values = []
    for _ in range(8):
        state, logs = jitted(state, clips)
        values.append(float(logs["loss"]))
    assert values[-1] < values[0]
    plain = functools.partial(step, loss=lambda prediction, target: jnp.zeros(()))
    _, logs = plain(state, clips)
    assert float(logs["loss"]) > 0  # what the backbone sowed
