"""The judge: its arms differ in what they are named for, and its controls move pixels."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdr_datasets
from experiments import carried, judge, judged
from experiments.judged import SETTINGS
from pdr_jax import predgs
from pdr_jax.predgs import TrackingConfig

pytestmark = pytest.mark.rest


@pytest.mark.parametrize("data", SETTINGS)
def test_arms_share_all_but_what_they_are_named_for(data):
    named = {"adapter", "predgs", "fusion", "fusion_init", "decay"}
    arms = judge.main_arms(SETTINGS[data], full=False, longer=2.0)
    assert len({arm.label for arm in arms}) == len(arms)
    recipes = {arm.label: arm.recipe.to_json() for arm in arms}
    own, longer = recipes.pop("plain, its own loss"), recipes.pop("plain, as long as tracked")
    shared = [{k: v for k, v in made.items() if k not in named} for made in recipes.values()]
    assert all(made == shared[0] for made in shared)
    plain = recipes["plain"]
    assert {name for name in plain if own[name] != plain[name]} == {"loss", "loss_options"}
    assert longer == plain | {"steps": 2 * plain["steps"], "save_every": 2 * plain["steps"]}


def test_each_ablation_changes_one_part():
    arms = judge.ablation_arms(SETTINGS["kth"], full=False)
    tracked = SETTINGS["kth"].recipe(full=False, adapter="tracked", loss="l1_ssim")
    assert len({arm.label for arm in arms}) == len(arms)
    changed = {}
    for arm in arms:
        pairs = zip(_flat(arm.recipe.to_json()), _flat(tracked.to_json()), strict=True)
        changed[arm.label] = {name: value for (name, value), (_, old) in pairs if value != old}
    robust = changed.pop("PDR robust")
    assert {name.partition(".")[0] for name in robust} == {"adapter", "predgs", "fusion"}
    assert changed.pop("tracked, 1x1 convolution for the gate") == {"fusion": "conv"}
    assert changed.pop("tracked, spacing 2") == {
        "predgs.tracking.spacing": 2,
        "predgs.window": 9,
    }
    for name, changes in judge.ABLATIONS.items():
        if name != "spacing 2":
            wanted = {f"predgs.tracking.{field}": value for field, value in changes.items()}
            assert changed.pop(f"tracked, {name}") == wanted
    assert not changed


def _flat(tree, head=""):
    """(dotted name, value) of every leaf of nested dicts."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{head}{name}.")
        else:
            yield head + name, value


def test_full_size_is_the_published_one():
    full = SETTINGS["kth"].recipe(full=True, adapter="tracked", loss="l1_ssim")
    assert full.steps >= 10_000
    assert full.backbone_options["hid_S"] == 64
    assert full.data_options.get("size", 128) == 128


SHAPE = (2, 3, 12, 40, 2)


@pytest.fixture(scope="module")
def observed():
    return jax.random.uniform(jax.random.key(0), SHAPE)


def draw(how, observed, **tracking):
    """What a control shows whose heads change nothing; its velocity is (1, 0)."""
    config = predgs.create("tracked", hidden=4, tracking=TrackingConfig(search=0, **tracking))
    adapter = carried.Carried(config, how)
    variables = jax.jit(functools.partial(adapter.init, observed=observed))(
        jax.random.key(0), observed
    )
    variables = jax.tree.map(jnp.zeros_like, variables)
    velocity = variables["params"]["tracked"]["motion"]["velocity"]
    velocity["bias"] = jnp.array([np.arctanh(1 / 2), 0.0])  # 2 tanh(x) = 1
    return adapter.apply(variables, observed, observed=observed).draw()


@pytest.mark.parametrize("how", ["warp", "forward"])
def test_pixels_move_by_the_velocity(how, observed):
    drawn = draw(how, observed)
    for frame in range(2):
        steps = frame + 1
        last = observed[:, -1]
        # A displacement is bounded smoothly at half the frame: hence not quite `steps` pixels.
        np.testing.assert_allclose(
            drawn.frames[:, frame, :, steps + 1 :], last[:, :, 1:-steps], atol=0.05
        )
    gone = drawn.coverage[:, 1, :, 0]
    np.testing.assert_allclose(gone, 1.0 if how == "warp" else 0.0, atol=0.05)


@pytest.mark.parametrize("how", ["warp", "forward"])
def test_without_motion_the_last_frame_stays(how, observed):
    drawn = draw(how, observed, speed=0.0)
    last = jnp.repeat(observed[:, -1:], SHAPE[1], axis=1)
    np.testing.assert_allclose(drawn.frames, last, atol=1e-5)
    np.testing.assert_allclose(drawn.coverage, 1.0, atol=1e-5)


def test_test_clips_are_thinned():
    array = np.zeros((20, 2, 8, 8, 1), np.uint8)
    dataset = pdr_datasets.load("arrays", array=array, in_length=1, out_length=1)
    dataset = dataclasses.replace(dataset, splits={name: range(7) for name in ("train", "test")})
    thinned = judged.every_nth(dataset, 3).splits
    assert thinned["train"] == range(7)
    assert [thinned["test"][i] for i in range(len(thinned["test"]))] == [0, 3, 6]
