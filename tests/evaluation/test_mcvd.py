"""MCVD's figures, against its steps in NumPy and scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pdr_jax import recipes
from pdr_jax.benchmarks.figures import published_figures
from pdr_jax.evaluation import mcvd, protocols
from pdr_jax.metrics import BETTER

RNG = np.random.default_rng(0)
TARGET = np.float32(RNG.integers(0, 256, (2, 3, 16, 12, 1)) / 255)  # B, T, H, W, C
SAMPLES = np.float32(np.clip(TARGET + RNG.normal(size=(4, *TARGET.shape)) / 8, 0, 1))


def eight_bit(frame):
    """A tensor in [-1, 1], back to [0, 1], times 255, cut to bytes."""
    x = np.float32(2) * np.float32(frame) - np.float32(1)
    return ((x + np.float32(1)) / np.float32(2) * np.float32(255)).astype(np.uint8)


@pytest.fixture(scope="module")
def by_clip():
    functions = mcvd.frame_metrics()
    values = {
        name: np.stack([np.asarray(jax.jit(f)(jnp.asarray(sample), TARGET)) for sample in SAMPLES])
        for name, f in functions.items()
    }
    return {name: np.float64(value).mean(2).T for name, value in values.items()}  # clips, n


def test_figures_are_those_of_the_best_sample_of_each_clip(by_clip):
    error = ((np.float64(SAMPLES) - TARGET) ** 2).mean((2, 3, 4, 5))  # n, clips
    similarity = np.zeros_like(error)
    for i in np.ndindex(4, 2, 3):
        similarity[i[:2]] += (
            structural_similarity(
                eight_bit(SAMPLES[i][..., 0]),
                eight_bit(TARGET[i[1:]][..., 0]),
                data_range=255,
                gaussian_weights=True,
                use_sample_covariance=False,
            )
            / 3
        )
    got = mcvd.figures(by_clip)
    assert got["mse_mcvd"] == pytest.approx(error.min(0).mean(), rel=1e-5)
    assert got["psnr_mcvd"] == pytest.approx((10 * np.log10(1 / error)).max(0).mean(), rel=1e-5)
    assert got["ssim_mcvd"] == pytest.approx(similarity.max(0).mean(), rel=1e-4)
    assert got.keys() <= BETTER.keys()


def test_frames_are_cut_to_bytes_as_there():
    """Some levels lose one on their way to [-1, 1] and back."""
    levels = jnp.asarray(np.arange(256).reshape(1, 1, 16, 16, 1) / 255, jnp.float32)
    seen = []

    def keep(prediction, target):
        seen.append(np.asarray(prediction))
        return prediction.mean((2, 3, 4))

    mcvd.frame_metrics(keep)["lpips_mcvd"](levels, levels)
    assert seen[0].shape == (1, 1, 128, 128, 1)
    assert set(np.rint(255 * seen[0]).astype(int).ravel()) <= set(range(256))
    cut = jax.jit(mcvd.eight_bit)(levels)
    np.testing.assert_array_equal(np.rint(255 * np.asarray(cut)), eight_bit(np.asarray(levels)))


def test_lpips_is_the_lowest_of_a_clip():
    values = {name: np.array([[0.1, 0.2]]) for name in ("mse_mcvd", "ssim_mcvd", "lpips_mcvd")}
    assert mcvd.figures(values)["lpips_mcvd"] == pytest.approx(0.1)


def test_frames_that_are_not_grey_are_refused(finished):
    with pytest.raises(ValueError, match="protocol='mcvd': frames are 8 x 8 x 1; expected grey"):
        protocols.figures(finished[1].dataset, "mcvd")
    with pytest.raises(ValueError, match="frames are 64 x 64 x 3"):
        mcvd.check((64, 64, 3))


def test_published_rows_have_names_of_figures():
    rows = published_figures("kth", "mcvd")
    assert rows["PDR (published by PDR, 64x64)"]["psnr_mcvd"] == 26.69
    assert {name for row in rows.values() for name in row} <= BETTER.keys()


def test_the_recipe_asks_for_mcvds_clips():
    recipe = recipes.create("kth", protocol="mcvd")
    options = recipe.data_options
    assert (options["size"], options["split"], recipe.out_length) == (64, "mcvd", 30)
    assert recipes.create("kth").data_options["size"] == 128
