"""Lagrangian persistence: frames that move as the observed ones did."""

import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax.evaluation.extrapolation import advect, extrapolator
from pdr_jax.evaluation.predictors import persistence


def moving(count, size=24):
    """A blob in [-1, 1] that moves by (1, 0.5) pixels a frame, (1, count, size, size, 1)."""
    row, column = np.mgrid[:size, :size]
    frames = [
        2 * np.exp(-((row - 8 - 0.5 * t) ** 2 + (column - 6 - t) ** 2) / 10) - 1
        for t in range(count)
    ]
    return jnp.asarray(np.stack(frames)[None, ..., None], jnp.float32)


def test_what_moves_moves_on():
    clip = moving(10)
    observed, truth = clip[:, :5], clip[:, 5:]
    error = abs(extrapolator((-1.0, 1.0))(observed, 5) - truth).mean()
    assert error < 0.2 * abs(persistence(observed, 5) - truth).mean()


def test_motion_is_that_of_the_given_flow_and_may_turn():
    """A field that turns about the centre carries a point around a circle."""
    size, horizon, angle = 25, 6, np.pi / 24
    row, column = np.mgrid[:size, :size] - size // 2
    motion = angle * np.stack([-row, column], -1).astype(np.float32)[None]
    frame = np.exp(-(row**2 + (column - 6) ** 2) / 32.0).astype(np.float32)[None, ..., None]
    frames = np.asarray(advect(jnp.asarray(frame), jnp.asarray(motion), horizon))
    for n in range(horizon):
        turned = (n + 1) * angle
        expected = np.exp(
            -((row - 6 * np.sin(turned)) ** 2 + (column - 6 * np.cos(turned)) ** 2) / 32.0
        )
        inside = (slice(5, -5),) * 2
        np.testing.assert_allclose(frames[0, n, *inside, 0], expected[inside], atol=0.02)
    seen = []

    def flow(first, second):
        seen.append((first.shape, float(first.min()), float(second.max())))
        return np.broadcast_to(np.float32([1, 0]), (*first.shape[:3], 2))

    clip = moving(6)
    predicted = extrapolator((-1.0, 1.0), flow)(clip, 2)
    assert seen[0][0] == (3, 24, 24, 1)
    assert 0 <= seen[0][1] <= seen[0][2] <= 1
    np.testing.assert_allclose(predicted[:, 1, :, 2:], clip[:, -1, :, :-2], atol=1e-6)
    # What comes in is the border.
    np.testing.assert_allclose(predicted[:, 1, :, :2], clip[:, -1, :, :1].repeat(2, 2), atol=1e-6)


def test_one_frame_has_no_motion():
    clip = moving(1)
    np.testing.assert_array_equal(extrapolator((-1.0, 1.0))(clip, 3), persistence(clip, 3))


def test_small_frames_are_refused():
    with pytest.raises(ValueError, match="at least 12x12 pixels"):
        extrapolator((0.0, 1.0))(jnp.zeros((1, 2, 8, 8, 1)), 1)
