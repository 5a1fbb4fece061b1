"""Scheduled sampling: published schedules, and masks that follow them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import sampling


def test_schedules_are_the_published_ones():
    chances = sampling.create("scheduled").chances
    np.testing.assert_allclose(chances(jnp.array(0)).future, 1 - 2e-5, rtol=1e-6)
    np.testing.assert_allclose(chances(jnp.array(24_999)).future, 0.5, rtol=1e-5)
    assert chances(jnp.array(50_000)) == (1.0, 0.0)

    chances = sampling.create("reverse").chances
    assert chances(jnp.array(24_999)) == (0.5, 0.5)
    observed, future = chances(jnp.array(30_000))
    np.testing.assert_allclose(observed, 1 - 0.5 / np.e, rtol=1e-6)
    np.testing.assert_allclose(future, 0.4, rtol=1e-6)
    assert chances(jnp.array(50_000)) == (1.0, 0.0)

    chances = sampling.create("teacher", rate=0.25).chances
    assert [float(chances(jnp.array(step)).future) for step in (0, 1, 5)] == [1.0, 0.75, 0.0]


@pytest.mark.parametrize(("step", "observed", "future"), [(0, 0.5, 0.5), (30_000, 0.816, 0.4)])
def test_masks_follow_the_chances(step, observed, future):
    given = sampling.create("reverse").given(jax.random.key(0), jnp.array(step), 4000, 3, 4)
    assert given.shape == (4000, 6)
    assert given[:, 0].all()
    np.testing.assert_allclose(given[:, 1:3].mean(), observed, atol=0.02)
    np.testing.assert_allclose(given[:, 3:].mean(), future, atol=0.02)


def test_a_batch_is_taught_together():
    taught = sampling.create("teacher", rate=1e-3)
    draws = [
        taught.given(jax.random.key(seed), jnp.array(500), 5, 2, 4)[:, 2:] for seed in range(40)
    ]
    assert all(draw.all() or not draw.any() for draw in draws)
    assert 5 < sum(bool(draw.all()) for draw in draws) < 35


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("teacher", {}, "rate is missing"),
        ("scheduled", {"rate": -1}, "rate=-1: expected a number, 0 or more"),
        ("scheduled", {"stop": "x"}, "stop='x': expected a number"),
        ("scheduled", {"rate": float("nan")}, "rate=nan: expected a number"),
        ("reverse", {"alpha": 0}, "alpha=0: expected more than 0"),
        ("reverse", {"first": -1}, "first=-1: expected a number, 0 or more"),
        ("reverse", {"first": 5, "second": 5}, "second=5: expected more than first=5"),
        ("reverse", {"second": 5}, "second=5: expected more than first=25000"),
    ],
)
def test_options_that_make_no_probabilities_are_refused(name, options, message):
    with pytest.raises(ValueError, match=rf"^sampling_options\.{message}"):
        sampling.create(name, **options)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="expected one of scheduled, reverse, teacher"):
        sampling.create("sheduled")
    with pytest.raises(ValueError, match="stop: expected an option of 'teacher': rate"):
        sampling.create("teacher", rate=0.1, stop=3)
