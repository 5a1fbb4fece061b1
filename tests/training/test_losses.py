"""Losses: closed forms, scikit-image, OpenSTL's divergence term, gradients, refusals."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pdr_jax import losses

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics.npz"


def clips(shape, seed=0):
    """A smooth random truth and a noisy prediction, roughly in [0, 1]."""
    rng = np.random.default_rng(seed)
    target = rng.random(shape).cumsum(-3).cumsum(-2)
    target /= target.max()
    prediction = target + 0.1 * rng.standard_normal(shape)
    return jnp.asarray(prediction, jnp.float32), jnp.asarray(target, jnp.float32)


def scikit_ssim(prediction, target, data_range):
    flat = (-1, *prediction.shape[-3:])
    return np.mean(
        [
            structural_similarity(
                p,
                y,
                data_range=data_range,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for p, y in zip(
                np.float64(prediction).reshape(flat), np.float64(target).reshape(flat), strict=True
            )
        ]
    )


def test_l1_and_mse_are_means():
    prediction, target = clips((2, 3, 8, 8, 2))
    error = np.float64(prediction) - np.float64(target)
    np.testing.assert_allclose(losses.mse(prediction, target), (error**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(losses.l1(prediction, target), np.abs(error).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "low", "width"),
    [
        ((1, 2, 32, 24, 1), 0.0, 1.0),
        ((1, 2, 16, 13, 3), 0.0, 255.0),
        ((1, 2, 16, 13, 3), -3.0, 6.0),
    ],
)
def test_ssim_equals_scikit_image(shape, low, width):
    prediction, target = clips(shape)
    expected = scikit_ssim(prediction, target, data_range=1.0)
    data_range = width if low == 0.0 else (low, low + width)
    frames = prediction * width + low, target * width + low
    actual = losses.ssim(*frames, data_range=data_range, signed=False)
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_ssim_keeps_its_digits_on_a_large_offset():
    """Kelvin with a narrow range: E[x^2] - E[x]^2 taken naively has no digits left."""
    prediction, target = clips((1, 1, 24, 24, 1))
    prediction, target = 280.0 + prediction, 280.0 + target
    expected = scikit_ssim(prediction, target, data_range=0.5)
    np.testing.assert_allclose(losses.ssim(prediction, target, data_range=0.5), expected, atol=1e-5)


@pytest.mark.parametrize("low", [0.0, -0.5])
def test_a_mirrored_prediction_is_not_better_than_a_weak_one(low):
    """Mirrored about the low end of the range, near which the values lie: the false optimum."""
    frame = jnp.full((1, 1, 12, 12, 1), low).at[:, :, ::2, ::2].add(0.4)
    data_range = (low, low + 1) if low else 1.0

    def loss(share, signed):
        prediction = low + share * (frame - low)
        return losses.l1_ssim(prediction, frame, data_range=data_range, signed=signed)

    assert loss(-1, signed=False) < loss(0.5, signed=False) - 0.05
    assert loss(-1, signed=True) > loss(0, signed=True) > loss(0.5, signed=True)
    mirrored = 2 * low - frame
    for create_options, signed in (({}, True), ({"signed": 0.0}, False)):
        created = losses.create("l1_ssim", data_range=data_range, **create_options)
        np.testing.assert_allclose(created(mirrored, frame), loss(-1, signed), rtol=1e-5)


def test_same_padding_is_a_reweighted_window_at_every_pixel():
    prediction, target = clips((1, 1, 8, 14, 1))
    p, y = (np.float64(a).squeeze() for a in (prediction, target))
    rows, columns = np.mgrid[:8, :14]
    values = []
    for i, j in np.ndindex(8, 14):
        inside = (abs(rows - i) <= 5) & (abs(columns - j) <= 5)
        w = inside * np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / (2 * 1.5**2))
        w /= w.sum()
        mp, my = (w * p).sum(), (w * y).sum()
        vp, vy = (w * (p - mp) ** 2).sum(), (w * (y - my) ** 2).sum()
        cov = (w * (p - mp) * (y - my)).sum()
        values.append(
            (2 * mp * my + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + my**2 + 1e-4) * (vp + vy + 9e-4))
        )
    actual = losses.ssim(prediction, target, padding="same")
    np.testing.assert_allclose(actual, np.mean(values), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 2, 16, 8, 2), (1, 1, 3, 1, 1)])
def test_ssim_on_frames_smaller_than_the_window(shape):
    prediction, target = clips(shape)
    value = losses.ssim(prediction, target)
    assert -1.0 < value < 0.999
    np.testing.assert_allclose(losses.ssim(target, target), 1.0, atol=1e-6)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("level", [0.0, 0.7])
def test_constant_frames_have_finite_value_and_gradient(level, padding):
    constant = jnp.full((1, 2, 12, 12, 1), level)
    loss = losses.create("l1_ssim", padding=padding)
    value, gradient = jax.value_and_grad(loss)(constant, constant)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    assert jnp.isfinite(gradient).all()
    # Against a constant truth of another level only the luminance term is left.
    other = level + 0.2
    luminance = (2 * level * other + 1e-4) / (level**2 + other**2 + 1e-4)
    with jax.enable_x64(True):  # in float32 1 - SSIM has lost the digits that are compared
        exact = jnp.full(constant.shape, level, jnp.float64)
        value = loss(exact, exact + 0.2)
        np.testing.assert_allclose(value, 0.5 * 0.2 + 0.5 * (1 - luminance), rtol=1e-9)


@pytest.mark.parametrize("name", ["l1_ssim", "mse_ddr"])
def test_gradient_equals_finite_differences(name):
    with jax.enable_x64(True):
        prediction, target = (jnp.float64(a) for a in clips((1, 3, 12, 12, 1)))
        # In a part of the frame both factors of SSIM are negative.
        prediction = prediction.at[..., 6:, :].multiply(-1)
        loss = jax.jit(losses.create(name))
        gradient = jax.grad(loss)(prediction, target)
        direction = jnp.asarray(np.random.default_rng(1).standard_normal(prediction.shape))
        step = 1e-6 * direction
        slope = (loss(prediction + step, target) - loss(prediction - step, target)) / 2e-6
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6)


def test_l1_ssim_weighs_its_parts():
    prediction, target = clips((1, 2, 16, 16, 1))
    l1, similarity = losses.l1(prediction, target), losses.ssim(prediction, target)
    loss = losses.create("l1_ssim", weight=0.3)
    np.testing.assert_allclose(
        loss(prediction, target), 0.3 * l1 + 0.7 * (1 - similarity), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["ddr_a", "ddr_b", "ddr_T2"])
def test_divergence_equals_openstl(name):
    golden = np.load(GOLDEN)
    prediction, target = (
        jnp.asarray(np.moveaxis(golden[f"{name}/{key}"], 2, -1)) for key in ("pred", "true")
    )
    value, gradient = jax.value_and_grad(losses.differential_divergence)(prediction, target)
    np.testing.assert_allclose(value, golden[f"{name}/value"], rtol=1e-6)
    if name == "ddr_T2":
        assert not gradient.any()
    else:
        expected = np.moveaxis(golden[f"{name}/grad_pred"], 2, -1)
        np.testing.assert_allclose(gradient, expected, atol=1e-6 * np.abs(expected).max())
    total = losses.create("mse_ddr", alpha=0.5)(prediction, target)
    np.testing.assert_allclose(total, losses.mse(prediction, target) + 0.5 * value, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_half_precision_is_computed_in_float32(name):
    prediction, target = (a.astype(jnp.bfloat16) for a in clips((1, 3, 12, 12, 1)))
    loss = losses.create(name, data_range=1.0)
    value = loss(prediction, target)
    assert value.dtype == jnp.float32
    expected = loss(prediction.astype(jnp.float32), target.astype(jnp.float32))
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.create("l2"), r"loss='l2': expected one of l1, l1_ssim, mse, mse_ddr"),
        (lambda: losses.create("mse", weight=0.5), r"weight: expected an option of 'mse': none"),
        (lambda: losses.create("l1_ssim", lambda_=0.5), "data_range, padding, signed, weight"),
        (lambda: losses.create("l1_ssim", weight=1.5), r"loss_options\.weight=1\.5"),
        (
            lambda: losses.create("l1_ssim", signed=0.5),
            r"loss_options\.signed=0\.5: expected True or False",
        ),
        (lambda: losses.create("l1_ssim", signed="no"), "signed='no': expected True or False"),
        (lambda: losses.create("mse_ddr", alpha=-1.0), r"loss_options\.alpha=-1\.0"),
        (lambda: losses.create("l1_ssim", data_range=0.0), "positive number"),
        (lambda: losses.create("l1_ssim", data_range=(1.0, 1.0)), "high > low"),
        (
            lambda: losses.create("mse", data_range=(0.0, 1.0, 2.0)),
            r"data_range=\(0\.0, 1\.0, 2",
        ),
        (lambda: losses.create("mse", data_range=None), "data_range=None: expected a positive"),
        (lambda: losses.create("mse", data_range="x"), "data_range='x': expected a positive"),
        (lambda: losses.create("l1_ssim", padding="zero"), "padding='zero': expected"),
        (lambda: losses.mse(jnp.zeros((1, 2)), jnp.zeros((1, 3))), "equal shapes"),
        (
            lambda: losses.differential_divergence(
                jnp.zeros((3, 4, 4, 1)), jnp.zeros((3, 4, 4, 1))
            ),
            r"expected \(B, T, H, W, C\)",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
