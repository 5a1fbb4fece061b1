"""The residual diffusion: its schedule, its sampler, its network, and what it does behind PDR."""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import PDR, backbones, diffusion, recipes
from pdr_jax.diffusion import DiffusionConfig, ResidualDiffusion, ddim, schedule
from pdr_jax.diffusion.unet import UNet

TINY = diffusion.create("small", widths=(8,), steps=2)
SIZES = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2}


@pytest.fixture
def wide():
    with jax.enable_x64(True):
        yield np.random.default_rng(0)


def test_signal_and_noise_share_a_circle():
    angles = np.asarray(schedule.angle(np.linspace(0, 1, 11)))
    np.testing.assert_allclose(angles + angles[::-1], math.pi / 2)
    assert 0 < np.sin(angles[0]) < 0.02
    assert np.all(np.diff(angles) > 0)


@pytest.mark.parametrize("predicts", ["v", "eps"])
def test_what_the_network_predicts_stands_for_signal_and_noise(wide, predicts):
    x, noise = wide.normal(size=(2, 5, 7))
    angle = schedule.angle(jnp.linspace(0, 1, 7))[None]
    z = schedule.diffused(x, noise, angle)
    output = schedule.goal(predicts, x, noise, angle)
    found = schedule.denoised(predicts, z, output, angle)
    assert found.dtype == jnp.float64
    np.testing.assert_allclose(found, x, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(schedule.noise_in(z, x, angle), noise, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("predicts", ["v", "eps"])
@pytest.mark.parametrize("steps", [1, 7])
def test_ddim_finds_what_an_oracle_knows(wide, predicts, steps):
    x, noise = wide.normal(size=(2, 5, 3))

    def oracle(z, time):
        angle = schedule.angle(time)
        return schedule.goal(predicts, x, schedule.noise_in(z, x, angle), angle)

    found = ddim.sample(oracle, jnp.asarray(noise), steps=steps, predicts=predicts)
    np.testing.assert_allclose(found, x, rtol=1e-10, atol=1e-10)
    clipped = ddim.sample(oracle, jnp.asarray(noise), steps=steps, predicts=predicts, clip=0.5)
    np.testing.assert_allclose(clipped, np.clip(x, -0.5, 0.5), rtol=1e-10, atol=1e-10)


def test_ddim_draws_from_a_known_distribution(wide):
    """x ~ N(1, 0.3^2), whose best v is known, follows from noise ~ N(0, 1)."""
    mean, variance = 1.0, 0.09

    def best(z, time):
        alpha, sigma = jnp.cos(schedule.angle(time)), jnp.sin(schedule.angle(time))
        x = mean + alpha * variance / (alpha**2 * variance + sigma**2) * (z - alpha * mean)
        return (alpha * z - x) / sigma  # v, as alpha^2 + sigma^2 = 1

    noise = jnp.asarray(wide.normal(size=1000))
    drawn = np.asarray(ddim.sample(best, noise, steps=200))
    np.testing.assert_allclose(drawn, mean + 0.3 * noise, atol=0.03)


def parameters(config):
    clip = jax.ShapeDtypeStruct((2, 2, 32, 32, 1), jnp.float32)
    time = jax.ShapeDtypeStruct((2,), jnp.float32)
    init = functools.partial(UNet(config).init, jax.random.key(0))
    made = jax.eval_shape(lambda z, t: init(z, t, prediction=z, observed=z), clip, time)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(made))


def test_size_of_the_default():
    assert 3e5 < parameters(DiffusionConfig()) < 1e6


@pytest.mark.rest
def test_size_of_the_papers_preset():
    assert 2e7 < parameters(diffusion.create("paper")) < 1e8


@pytest.mark.parametrize("shape", [(30, 22, 1), (7, 9, 3)])
def test_frames_of_any_size(shape):
    model = ResidualDiffusion(TINY)
    known = [jax.ShapeDtypeStruct((2, length, *shape), jnp.float32) for length in (3, 4)]

    def run(prediction, observed):
        key = jax.random.key(0)
        variables = model.init(key, prediction, observed, prediction, method="learn")
        return model.apply(variables, prediction, observed, method="sample", rngs={"sample": key})

    assert jax.eval_shape(run, *known).shape == known[0].shape


@pytest.fixture(scope="module")
def learnt():
    """One call of `learn` with one channel's residuals three times the other's, jitted."""
    model, frames = ResidualDiffusion(TINY), jnp.zeros((4, 3, 4, 4, 2))
    variables = jax.jit(functools.partial(model.init, method="learn"))(
        jax.random.key(0), frames, frames, frames
    )

    @jax.jit
    def learn(batch_stats, target):
        return model.apply(
            {"params": variables["params"], "batch_stats": batch_stats},
            frames,
            frames,
            target,
            method="learn",
            rngs={"dropout": jax.random.key(1)},
            mutable=["losses", "batch_stats"],
        )[1]

    return learn, variables["batch_stats"]


def rms(batch_stats):
    scale = batch_stats["scale"]
    return np.sqrt(scale["square"] / scale["weight"])


def test_scale_is_a_running_estimate(learnt):
    learn, start = learnt
    target = np.random.default_rng(0).normal(size=(4, 3, 4, 4, 2)) * [1.0, 3.0]
    once = learn(start, target)["batch_stats"]
    expected = np.sqrt(np.square(target).mean((0, 1, 2, 3)))
    np.testing.assert_allclose(rms(once), expected, rtol=1e-5)
    twice = learn(once, 2 * target)["batch_stats"]
    shares = np.array([0.95, 1]) / 1.95
    np.testing.assert_allclose(rms(twice), expected * np.sqrt(shares @ [1, 4]), rtol=1e-5)


def test_missing_pixels_do_not_count(learnt):
    learn, start = learnt
    target = np.random.default_rng(0).normal(size=(4, 3, 4, 4, 2))
    missing = target.copy()
    missing[1:, :, :2] = np.nan
    one = learn(start, missing)
    kept = target[~np.isnan(missing)].reshape(-1, 2)
    np.testing.assert_allclose(rms(one["batch_stats"]), np.sqrt(np.square(kept).mean(0)), rtol=1e-5)
    # A network that predicts 0 misses v, whose mean square is about 1.
    (loss,) = one["losses"]["denoising"]
    assert 0.7 < loss < 1.3
    (nothing,) = learn(start, np.full_like(target, np.nan))["losses"]["denoising"]
    assert nothing == 0


def test_what_is_drawn_has_the_scale():
    model, frames, key = ResidualDiffusion(TINY), jnp.zeros((1, 1, 4, 4, 1)), jax.random.key(0)

    @jax.jit
    def drawn(square):
        variables = model.init(key, frames, frames, frames, method="learn")
        scale = {"square": jnp.full(1, square), "weight": jnp.ones(1)}
        variables = {"params": variables["params"], "batch_stats": {"scale": scale}}
        return model.apply(variables, frames, frames, method="sample", rngs={"sample": key})

    once, thrice = drawn(1.0), drawn(9.0)
    assert jnp.all(once != 0)
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-5)


@pytest.mark.rest
@pytest.mark.parametrize("end_to_end", [False, True])
def test_end_to_end_the_denoising_loss_reaches_the_predictor(end_to_end):
    config = diffusion.create("small", widths=(8,), predicts="eps", end_to_end=end_to_end)
    model, frames = ResidualDiffusion(config), jnp.ones((2, 3, 4, 4, 1))
    init = jax.jit(functools.partial(model.init, method="learn"))
    variables = init(jax.random.key(0), frames, frames, frames)
    # The output layer starts at 0, so that nothing reaches what is before it.
    params = jax.tree.map(lambda x: x + 0.01, variables["params"])

    def loss(prediction):
        made = {**variables, "params": params}
        rngs, mutable = {"dropout": jax.random.key(0)}, ["losses", "batch_stats"]
        known = prediction, frames, 2 * frames
        _, sown = model.apply(made, *known, method="learn", rngs=rngs, mutable=mutable)
        return sown["losses"]["denoising"][0]

    assert jnp.any(jax.jit(jax.grad(loss))(frames) != 0) == end_to_end


def test_a_sample_depends_on_its_key_and_surrounds_the_prediction():
    backbone = backbones.create("simvp_convmixer", in_shape=(2, 8, 8, 1), **SIZES)
    model = PDR(backbone, residual=ResidualDiffusion(TINY))
    assert model.probabilistic
    assert not PDR(backbone).probabilistic
    frames = np.random.default_rng(0).random((2, 2, 8, 8, 1), np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), frames)
    assert set(variables["params"]) == {"backbone", "residual"}

    plain = {name: {"backbone": parts["backbone"]} for name, parts in variables.items()}

    @jax.jit
    def draw(key):
        drawn = model.apply(variables, frames, 3, rngs={"sample": key}, method="decompose")
        return drawn, model.apply(variables, frames, 3), PDR(backbone).apply(plain, frames, 3)

    (one, point, alone), (again, *_), (other, *_) = (draw(jax.random.key(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(one.prediction, again.prediction)
    assert np.abs(one.prediction - other.prediction).mean() > 0.1
    np.testing.assert_array_equal(point, alone)
    np.testing.assert_allclose(one.prediction - one.residual, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, r"diffusion.widths=\(\): expected one or more multiples of 8"),
        ({"widths": (12,)}, r"diffusion.widths=\(12,\)"),
        ({"widths": (8,) * 11}, "at most 10 levels"),
        ({"patch": 0}, "diffusion.patch=0: expected 1 to 64"),
        ({"steps": 0}, "diffusion.steps=0: expected 1 to 1000"),
        ({"predicts": "x"}, "diffusion.predicts='x': expected one of v, eps"),
        ({"momentum": 0.0}, "diffusion.momentum=0.0"),
        ({"clip": -1.0}, "diffusion.clip=-1.0: expected 0 or more"),
        ({"freeze": True, "end_to_end": True}, "diffusion.freeze=True: expected False"),
        ({"depth": 3}, "'depth' is no field of DiffusionConfig"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        diffusion.create("small", **options)


def test_recipes():
    """The adapter's name says what is behind the predictor; JSON keeps its settings."""
    for adapter, parts in {
        "none": (False, False),
        "tracked": (True, False),
        "diffusion": (False, True),
        "predgs+diffusion": (True, True),
        "paper+diffusion": (True, True),
    }.items():
        recipe = recipes.create("kth", adapter=adapter, diffusion=TINY)
        assert (recipe.renders, recipe.samples) == parts
        assert recipes.Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
        assert (recipe.ema_decay > 0) == recipe.samples
        model = recipe.build((64, 64, 1))
        assert (model.adapter is not None, model.probabilistic) == parts
    alone, plain = (recipes.create("kth", adapter=name) for name in ("diffusion", "none"))
    assert (alone.loss, alone.optimizer) == (plain.loss, plain.optimizer)
    both, paper = (recipes.create("kth", adapter=name) for name in ("paper+diffusion", "paper"))
    assert (both.loss, both.predgs, both.fusion) == (paper.loss, paper.predgs, paper.fusion)
    before = {key: value for key, value in paper.to_json().items() if key != "diffusion"}
    assert recipes.Recipe.from_json(before) == paper
    frozen = diffusion.create("small", freeze=True)
    with pytest.raises(ValueError, match=r"init_from='': expected a run, which diffusion\.freeze"):
        recipes.create("kth", adapter="diffusion", diffusion=frozen)
    with pytest.raises(ValueError, match=r"adapter='tracked\+difusion'"):
        recipes.create("kth", adapter="tracked+difusion")
