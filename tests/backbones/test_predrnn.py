"""ConvLSTM, PredRNN, PredRNN++, PredRNNv2, MIM and E3D-LSTM are OpenSTL's, but for its bugs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import (
    GOLDEN,
    channels_last,
    check_round_trip,
    load,
    parameters,
    relative_error,
)

from pdr_jax import backbones
from pdr_jax.backbones import Forcing
from pdr_jax.backbones.e3dlstm import recall
from pdr_jax.backbones.layers.patches import patchify
from pdr_jax.backbones.mim import MIMBlock
from pdr_jax.backbones.predrnnv2 import cosine
from pdr_jax.interop import family, from_openstl

NAMES = ("convlstm", "predrnn", "predrnnpp", "predrnnv2", "mim", "e3dlstm")
SHAPE = (3, 6, 4, 1)  # T, H, W, C: not square
SMALL = {"num_hidden": (3, 3), "filter_size": 3, "patch_size": 2}


def golden(name):
    """As `load`; the files of the models without layer norm do not say which method they hold."""
    config, weights, arrays = load(name)
    return {"method": name, **config}, weights, arrays


def forced(config, arrays):
    """The observed frames, and what OpenSTL's mask of patches shows of those that follow."""
    frames = channels_last(arrays["input"])
    length, steps = config["pre_seq_length"], config["total_length"] - 1
    mask = arrays["mask"].any(axis=(2, 3, 4))
    given = np.ones((len(mask), steps), bool)
    given[:, steps - mask.shape[1] :] = mask
    return frames[:, :length], Forcing(frames[:, length:], given)


def run(module, variables, state, frames, forcing):
    """A training run from a state: the state after it, all predictions, and the sown losses."""
    horizon = forcing.frames.shape[1]

    @jax.jit
    def unroll(variables, state, frames, forcing):
        return module.apply(
            variables, state, frames, horizon, True, forcing, method="unroll", mutable=["losses"]
        )

    with jax.default_matmul_precision("highest"):
        (state, predicted), sown = unroll(variables, state, frames, forcing)
    return state, predicted, sum(jax.tree.leaves(sown), start=0.0)


def started(name, **settings):
    """A small module, random variables that are far from zero, its state and frames."""
    module = backbones.create(name, SHAPE, **SMALL | settings)
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.uniform(size=(2, *SHAPE)), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), frames)
    variables = jax.tree.map(lambda s: jnp.asarray(rng.normal(0, 0.3, s.shape), s.dtype), shapes)
    return module, variables, module.apply(variables, frames, method="start"), frames


def seen(frames):
    """A forcing that shows nothing, and one frame to predict."""
    steps = frames.shape[:2]
    return Forcing(jnp.zeros_like(frames[:, :1]), jnp.ones(steps, bool))


@pytest.mark.parametrize("name", [*NAMES, "mim_layer_norm", "e3dlstm_layer_norm"])
def test_outputs_and_loss_equal_openstl(name):
    config, weights, arrays = golden(name)
    module, variables = from_openstl(config, weights)
    frames, forcing = forced(config, arrays)
    start = module.apply(variables, frames, method="start")
    state, predicted, sown = run(module, variables, start, frames, forcing)

    def check(key, value):
        error = relative_error(value, arrays[key])
        assert error < 1e-5, f"{key}: relative error {error:.1e}"

    patch = config["patch_size"]
    check("output", patchify(predicted, patch))
    check("pred", np.moveaxis(predicted[:, -forcing.frames.shape[1] :], -1, -3))
    error = predicted - jnp.concatenate([frames, forcing.frames], axis=1)[:, 1:]
    loss = jnp.square(error).mean() + sown
    if config["method"] == "e3dlstm":
        loss += jnp.abs(error).mean()
    check("loss", loss)
    assert (sown > 0) == (name == "predrnnv2")
    if config["method"] == "e3dlstm":  # it never updates its memory
        assert not state.memory.any()
    if config["method"] == "mim":  # it carries MIM-S's cells to the next batch
        start = start.replace(stationary=state.stationary)
        _, predicted, _ = run(module, variables, start, frames, forcing)
        check("output_second_call", patchify(predicted, patch))
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)


TAXIBJ, T2M, KTH = (4, 32, 32, 2), (12, 32, 64, 1), (10, 128, 128, 1)
HUMAN, MMNIST = (4, 256, 256, 3), (10, 64, 64, 1)


@pytest.mark.parametrize(
    ("name", "in_shape", "patch", "count", "published"),
    [
        ("convlstm", TAXIBJ, 2, 14_980_096, "14.98"),
        ("convlstm", HUMAN, 4, 15_497_216, "15.5"),
        ("predrnn", TAXIBJ, 2, 23_658_496, "23.66"),
        ("predrnn", T2M, 2, 23_568_384, "23.57"),
        ("predrnn", HUMAN, 4, 24_559_616, "24.6"),
        ("predrnnpp", TAXIBJ, 2, 38_404_096, "38.40"),
        ("predrnnpp", T2M, 2, 38_313_984, "38.31"),
        ("predrnnpp", MMNIST, 4, 38_584_320, "38.6"),
        ("predrnnv2", TAXIBJ, 2, 23_674_880, "23.67"),
        ("predrnnv2", MMNIST, 4, 23_855_104, "23.9"),
        ("mim", TAXIBJ, 2, 37_863_424, "37.86"),
        ("mim", T2M, 4, 37_748_736, "37.75"),
        ("mim", KTH, 4, 39_813_120, "39.8"),
        ("mim", HUMAN, 4, 47_611_904, "47.6"),
        ("e3dlstm", TAXIBJ, 2, 50_987_008, "50.99"),
        ("e3dlstm", T2M, 4, 51_085_312, "51.09"),
        ("e3dlstm", KTH, 8, 53_510_144, "53.5"),
        ("e3dlstm", HUMAN, 8, 60_850_176, "60.9"),
    ],
)
def test_parameter_counts_are_the_published_ones(name, in_shape, patch, count, published):
    faithful = {"faithful": True} if "faithful" in backbones.hyperparameters(name) else {}
    module = backbones.create(name, in_shape, patch_size=patch, **faithful)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), frames)
    assert parameters(shapes) == count
    assert f"{count / 1e6:.{len(published) - 3}f}" == published


@pytest.mark.parametrize("name", ["convlstm", "predrnnpp"])
def test_what_is_never_used_is_there_only_where_asked_for(name):
    module, variables, _, frames = started(name, faithful=True)
    plain, fewer, _, _ = started(name)
    assert parameters(fewer) < parameters(variables)
    # More parameters than it declares do not matter to a module: these it does not read.
    both = jax.jit(lambda v, x: (module.apply(v, x), plain.apply(v, x)))(variables, frames)
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("name", ["mim", "e3dlstm"])
def test_a_state_continues_where_it_was_left(name):
    module, variables, start, frames = started(name)
    whole, predicted, _ = run(module, variables, start, frames, seen(frames))
    state, first, _ = run(module, variables, start, frames[:, :2], seen(frames[:, :2]))
    state, second, _ = run(module, variables, state, frames[:, 2:], seen(frames[:, 2:]))
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), predicted, atol=1e-5)
    assert jnp.abs(whole.memory).max() > 0.01
    if name == "mim":
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), state, whole)


def test_mim_learns_its_stationary_cell_through_time():
    rng = np.random.default_rng(0)
    maps = [jnp.asarray(rng.normal(size=(1, 3, 4, 2)), jnp.float32) for _ in range(6)]

    def slope(faithful):
        block = MIMBlock(2, 3, faithful=faithful)
        variables = block.init(jax.random.key(0), *maps)

        def hidden(stationary):
            return block.apply(variables, *maps[:-1], stationary)[0].sum()

        return jnp.abs(jax.grad(hidden)(maps[-1])).max()

    assert slope(False) > 0
    assert slope(True) == 0


def test_recall_finds_the_likest_position_of_the_past_that_is_known():
    past = jnp.zeros((1, 3, 2, 2, 3, 4))
    past = past.at[0, 1, 0, 1, 2].set(jnp.array([9.0, 0, 0, 0]))
    past = past.at[0, 2, 1, 0, 0].set(jnp.array([0, 9.0, 0, 0]))
    past = past.at[0, 0].set(5.0)  # room that no cell has filled
    known = jnp.array([[False, True, True]])
    query = jnp.zeros((1, 2, 2, 3, 4)).at[0, 0, 0, 0, 1].set(9.0).at[0, 1, 1, 1, 0].set(9.0)
    found = recall(query, past, known, False)
    np.testing.assert_allclose(found[0, 0, 0, 0], [0, 9, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found[0, 1, 1, 1], [9, 0, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found[0, 0, 1, 0], [9 / 24, 9 / 24, 0, 0], atol=1e-5)
    # There, tokens run across positions: what is one channel of four positions answers.
    assert jnp.abs(recall(query, past, known, True) - found).max() > 1


def test_recall_tells_apart_what_bfloat16_scores_would_not():
    """Scores near 64, where bfloat16 numbers are half a unit apart, that differ by a quarter."""
    query = jnp.ones((1, 2, 1, 1, 64), jnp.bfloat16)
    past = jnp.ones((1, 1, 2, 1, 1, 64), jnp.bfloat16).at[0, 0, 0, 0, 0, 0].add(0.25)
    found = recall(query, past, jnp.ones((1, 1), bool), False)
    weight = 1 / (1 + np.exp(-0.25))
    np.testing.assert_allclose(found[..., 0].astype(np.float32), 1 + 0.25 * weight, rtol=2**-8)


def test_cosines_of_what_two_maps_hold():
    a = jnp.zeros((1, 2, 2, 3)).at[0, 0, 0].set(2.0)
    b = a.at[0, 0, 1, 1].set(2.0).at[..., 2].set(0.0)
    np.testing.assert_allclose(cosine(a, b), [[1, 0.5**0.5, 0]], rtol=1e-6)
    assert jnp.isfinite(jax.grad(lambda b: cosine(a, b).sum())(b)).all()  # also where it is zero


def test_predrnnv2_sows_its_loss_in_training_only():
    module, variables, _, frames = started("predrnnv2")

    def sown(train):
        apply = functools.partial(module.apply, train=train, mutable=["losses"])
        return jax.eval_shape(apply, variables, frames)[1]

    assert jax.tree.leaves(sown(True))[0].shape == ()
    assert not sown(False)


def test_openstl_writes_widths_as_text():
    config, weights, _ = golden("predrnn")
    module, _ = from_openstl({**config, "num_hidden": "8,8", "stride": 1}, weights)
    assert module.num_hidden == (8, 8)
    assert family(config).config(module) == {"num_hidden": "8,8", "layer_norm": 0, "stride": 1}


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("predrnn", {"num_hidden": 8}, TypeError, "num_hidden = 8 must be a tuple"),
        ("predrnn", {"num_hidden": ()}, ValueError, "length of num_hidden = 0 must be at least 1"),
        ("predrnn", {"num_hidden": (8, 0)}, ValueError, r"num_hidden\[1\] = 0 must be at least 1"),
        ("mim", {"num_hidden": (8, 4)}, ValueError, r"\(8, 4\) must be equal widths: one memory"),
        ("predrnnpp", {"num_hidden": (8,)}, ValueError, "num_hidden = 1 must be at least 2"),
        ("convlstm", {"filter_size": 4}, ValueError, "filter_size = 4 must be odd"),
        ("convlstm", {"patch_size": 4}, ValueError, r"H = 6 must be divisible by 4 \(patch_size"),
        ("convlstm", {"patch_size": 0}, ValueError, "patch_size = 0 must be at least 1"),
        ("predrnnv2", {"decouple_beta": -1}, ValueError, "decouple_beta = -1 must not be negative"),
    ],
)
def test_impossible_settings_are_refused(name, settings, error, message):
    with pytest.raises(error, match=message):
        backbones.create(name, SHAPE, **SMALL | settings)


def test_layers_of_convlstm_may_differ_in_width():
    module, variables, _, frames = started("convlstm", num_hidden=(2, 3))
    assert jax.eval_shape(module.apply, variables, frames).shape == frames.shape


@pytest.mark.parametrize("name", ["convlstm", "predrnnpp"])
def test_the_model_zoos_cells(name):
    """OpenSTL v0.3's outputs with the weights and the input of the later release's golden file."""
    config, weights, arrays = golden(name)
    expected = np.load(GOLDEN / "openstl_v03.npz")[name]
    assert relative_error(arrays["output"], expected) > 0.1
    module, variables = from_openstl({**config, "release": "v0.3"}, weights)
    frames, forcing = forced(config, arrays)
    start = module.apply(variables, frames, method="start")
    _, predicted, _ = run(module, variables, start, frames, forcing)
    assert relative_error(patchify(predicted, config["patch_size"]), expected) < 1e-5
    with pytest.raises(ValueError, match="release = 'v2' must be one of"):
        backbones.create(name, SHAPE, **SMALL, release="v2")
