"""Figures of logs: closed forms of tracks, of coverage and gate, and every kind of output."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import diagnostics
from pdr_jax.gaussians import Gaussians2D
from pdr_jax.pdr import PDROutput

SIZE = 8
SIGMA = 0.6


def tracked(displacements, weight=1.0):
    """A Gaussian on each pixel, (B, T, N), moved by (B, T, 2) pixels; weight None adds them."""
    displacements = np.asarray(displacements, np.float32)
    y, x = np.mgrid[:SIZE, :SIZE]
    centres = np.stack([x, y], -1).reshape(1, 1, -1, 2)
    mean = centres + displacements[:, :, None]
    leading = mean.shape[:3]
    return Gaussians2D.from_pixels(
        mean.astype(np.float32),
        np.full((*leading, 2), SIGMA, np.float32),
        np.zeros(leading, np.float32),
        np.ones((*leading, 1), np.float32),
        height=SIZE,
        width=SIZE,
        window=5,
        weight=None if weight is None else np.full(leading, weight, np.float32),
        full=2 * np.pi * SIGMA**2,
    )


TIMES = np.arange(1, 5, dtype=np.float32)[:, None]
UNIFORM = TIMES * np.array([3.0, -4.0], np.float32)
CURVED = TIMES**2 * np.array([0.0, 0.5], np.float32)  # its second difference is (0, 1)
STILL = 0 * UNIFORM


def test_tracks_of_each_clip():
    figures = diagnostics.track_statistics(tracked([UNIFORM, CURVED, STILL]))
    speed = np.mean([1.5, 2.5, 3.5])  # of the curved track
    np.testing.assert_allclose(figures["track_speed"], [5.0, speed, 0.0], atol=1e-5)
    np.testing.assert_allclose(figures["track_acceleration"], [0.0, 1.0, 0.0], atol=1e-5)


def test_what_too_few_frames_have_not_is_left_out():
    assert diagnostics.track_statistics(tracked([UNIFORM[:1]])) == {}
    assert set(diagnostics.track_statistics(tracked([UNIFORM[:2]]))) == {"track_speed"}


@pytest.mark.parametrize("weight", [0.5, None])
def test_motion_field(weight):
    """The step where Gaussians are dense, to within the softness; 0 where they have left."""
    gaussians = tracked([TIMES * np.array([1.0, 2.0], np.float32)], weight)
    field = np.asarray(diagnostics.motion_field(gaussians))
    assert field.shape == (1, 4, SIZE, SIZE, 2)
    inside = field[0, 0, 4:7, 3:6]  # frame 1 has the Gaussians from x = 1 and y = 2 on
    np.testing.assert_allclose(inside, np.broadcast_to([1.0, 2.0], inside.shape), rtol=0.02)
    np.testing.assert_array_equal(field[0, 3, :5], 0)
    np.testing.assert_allclose(field[..., 1], 2 * field[..., 0], atol=1e-5)


def test_coverage_and_gate():
    coverage = jnp.asarray([0.0, 0.4, 1.0, 1.0]).reshape(1, 1, 2, 2, 1)
    gate = jnp.asarray([[0.0, 0.2], [0.2, 0.2], [0.9, 0.9], [0.7, 0.5]]).reshape(1, 1, 2, 2, 2)
    figures = diagnostics.blend_statistics(coverage, gate)
    expected = {
        "coverage_mean": 0.6,
        "coverage_holes": 0.5,
        "gate_mean": 0.45,
        "gate_rendered": 0.375,
    }
    assert figures.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(figures[name], value, rtol=1e-6, err_msg=name)
    assert diagnostics.blend_statistics(None, None) == {}


def test_describe_serves_every_output():
    def output(displacements, weight, **fields):
        gaussians = tracked(displacements, weight)
        frames = jnp.ones((*gaussians.mean.shape[:2], SIZE, SIZE, 1))
        shares = {name: frames * value for name, value in fields.items()}
        return PDROutput(frames, frames, frames, gaussians, **shares)

    always = {"outside", "sigma_p05", "sigma_p50", "sigma_p95", "position_std", "amplitude_std"}
    tracks = {"track_speed", "track_acceleration"}
    saturation = {"position_at_border", "scale_saturated"}
    of_coverage, of_gate = {"coverage_mean", "coverage_holes"}, {"gate_mean", "gate_rendered"}
    heads = {"adapter": {"scale_start": jnp.zeros(2)}}
    one_frame = output([UNIFORM[:1]], 1.0, coverage=1.0, gate=0.5)
    for params, made, expected in (
        (heads, output([UNIFORM], None), always | tracks | saturation),
        ({}, output([UNIFORM], 1.0, coverage=1.0), always | tracks | of_coverage),
        ({}, one_frame, always | of_coverage | of_gate),
    ):
        figures = diagnostics.describe(params, made)
        assert set(figures) == expected
        assert all(np.isfinite(value) and value.shape == () for value in figures.values())
    # A step of (3, -4) leads three of the eight columns and four of the eight rows outside.
    assert float(diagnostics.describe({}, one_frame)["outside"]) == 1 - 5 / 8 * 4 / 8
    assert diagnostics.describe({}, PDROutput(jnp.ones((1, 1, 8, 8, 1)), jnp.ones(()))) == {}


def test_gradient_norms_of_every_adapter():
    """Heads are found wherever they lie; other parameters of the adapter are left out."""
    leaf = {"kernel": jnp.asarray([3.0, 4.0])}
    grads = {
        "backbone": leaf,
        "fuse_gate": {"hidden": leaf, "out": jax.tree.map(jnp.zeros_like, leaf)},
        "adapter": {
            "motion": {"hidden0": leaf, "sharpness": jnp.ones(()), "velocity": leaf},
            "changes": {"hidden0": leaf, "position": leaf, "weight": leaf},
        },
    }
    norms = diagnostics.gradient_norms(grads)
    assert norms == dict.fromkeys(("backbone", "fuse_gate", "velocity", "position", "weight"), 5.0)
    paper = {"position": {"hidden": leaf, "out": leaf}, "position_start": jnp.ones((4, 2))}
    np.testing.assert_allclose(
        diagnostics.gradient_norms({"adapter": paper})["position"], np.sqrt(50)
    )
