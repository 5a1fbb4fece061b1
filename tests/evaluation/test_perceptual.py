"""LPIPS and ST-LPIPS: the originals' figures for closed-form weights, properties, refusals.

Where the trained weights are at hand also the distances of the authors' example images.
"""

import os
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import torch_files
from pdr_jax.metrics import Evaluator, perceptual
from pdr_jax.metrics.perceptual import alexnet, distance, lpips_alex, st_lpips_alex

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "lpips.npz")
WEIGHTS = os.environ.get("PDR_ST_LPIPS_WEIGHTS")
EXAMPLES = os.environ.get("PDR_ST_LPIPS_EXAMPLES")


def closed_form(expected):
    """Weights that need no file: a hash of their position, scaled to preserve the variance."""
    arrays = {}
    for seed, (name, shape) in enumerate(expected.items()):
        index = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(1000 * seed)
        hashed = index * np.uint64(2654435761) % np.uint64(2**32)
        unit = hashed.reshape(shape) / 2.0**32
        if not name.startswith("lin"):
            unit -= 0.5
        if len(shape) == 4 and not name.startswith("lin"):
            unit *= np.sqrt(24 / np.prod(shape[1:]))
        arrays[name] = np.float32(unit)
    return arrays


def image(height, width, channels, phase):
    y, x, k = np.mgrid[:height, :width, :channels]
    wave = np.sin(0.3 * x + 0.05 * x * y / 8 + k + phase) * np.cos(0.2 * y - phase)
    return np.float32(0.5 + 0.5 * wave)


@pytest.fixture(scope="module")
def narrow():
    """The same architecture with few channels, cheap enough for many small tests."""
    rng = np.random.default_rng(0)
    widths, params = (3, 4, 6, 8, 5, 5), {}
    for layer, k in enumerate((11, 5, 3, 3, 3)):
        shape = (k, k, widths[layer], widths[layer + 1])
        params[f"kernel{layer}"] = jnp.asarray(rng.standard_normal(shape), jnp.float32) / k
        params[f"bias{layer}"] = jnp.zeros(shape[-1])
        params[f"weight{layer}"] = jnp.asarray(rng.random(shape[-1]), jnp.float32)
    return jax.tree_util.Partial(jax.jit(perceptual.st_lpips), params)


def test_equals_the_original_with_closed_form_weights(tmp_path):
    """1.2156963 is the PyTorch package's output (torch 2, CPU) for these weights and images."""
    path = tmp_path / "weights.npz"
    np.savez(path, **closed_form(st_lpips_alex.expected_arrays()))
    distance = perceptual.load_st_lpips_alex(path)
    actual = distance(image(33, 40, 1, 0.0), image(33, 40, 1, 0.7))
    np.testing.assert_allclose(actual, 1.2156963, rtol=2e-6)


def golden_trunk():
    """The closed form that golden/lpips.npz was made with, as torchvision names it."""
    arrays = {}
    for k, (name, shape) in enumerate(alexnet.trunk_arrays(lpips_alex.CONVOLUTIONS).items()):
        i = np.arange(np.prod(shape)).reshape(shape)
        wave = np.sqrt(4 / np.prod(shape[1:])) * np.sin(0.37 * i + 0.11 * k)
        arrays[name] = np.float32(0.01 * np.cos(i + k) if len(shape) == 1 else wave)
    return arrays


def golden_heads():
    """The trained heads of the package lpips 0.1.4 (BSD 2-clause), as it names them."""
    return {f"lin{k}.model.1.weight": GOLDEN[f"lin{k}"].reshape(1, -1, 1, 1) for k in range(5)}


@pytest.fixture(scope="module")
def lpips_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    np.savez(folder / "trunk.npz", **golden_trunk())
    np.savez(folder / "heads.npz", **golden_heads())
    return folder / "trunk.npz", folder / "heads.npz"


@pytest.mark.parametrize("name", ["rgb", "gray"])
def test_lpips_equals_the_original(name, lpips_files):
    """The sum to 1e-5, each layer to 1e-4.

    Layers are compared in float64: the recorded float32 values have an error near 1e-4 already,
    because these weights cancel more than trained ones do.
    """
    lpips = perceptual.load_lpips_alex(*lpips_files)
    p, y = (GOLDEN[f"{name}/{key}"] for key in ("pred", "true"))
    np.testing.assert_allclose(lpips(p, y), GOLDEN[f"{name}/lpips"], rtol=0, atol=1e-5)
    for layer in range(5):
        alone = {
            key: np.float64(array) * (not key.startswith("weight") or key == f"weight{layer}")
            for key, array in lpips.args[0].items()
        }
        with jax.enable_x64(True):
            actual = np.asarray(perceptual.lpips(alone, np.float64(p), np.float64(y)))
        np.testing.assert_allclose(actual, GOLDEN[f"{name}/per_layer"][:, layer], rtol=1e-4)


def test_lpips_reads_pytorch_files_by_the_safe_reader_alone(tmp_path, monkeypatch):
    """And only with a version of PyTorch whose reader is safe."""
    files = {"trunk.pth": golden_trunk(), "alex.pth": golden_heads()}
    paths = [tmp_path / name for name in files]
    for path in paths:
        path.write_bytes(b"a state dict")
    with monkeypatch.context() as patch:
        patch.setattr(torch_files, "load", lambda path: files[path.name])
        lpips = perceptual.load_lpips_alex(*paths)
        p, y = (GOLDEN[f"gray/{key}"] for key in ("pred", "true"))
        np.testing.assert_allclose(lpips(p, y), GOLDEN["gray/lpips"], atol=1e-5)
        files["alex.pth"] = [np.zeros(3)]
        with pytest.raises(ValueError, match=r"alex.pth holds a list.*The heads are"):
            perceptual.load_lpips_alex(*paths)
    for torch, reason in (
        (None, "files of PyTorch need it"),
        (types.SimpleNamespace(__version__="2.5.1"), r"torch 2\.5\.1 is installed"),
    ):
        monkeypatch.setitem(sys.modules, "torch", torch)
        with pytest.raises(ImportError, match=rf"{reason}.*alexnet.*savez"):
            perceptual.load_lpips_alex(*paths)


def test_lpips_files_that_are_wrong_are_refused(tmp_path, lpips_files):
    trunk, heads = lpips_files
    with pytest.raises(FileNotFoundError, match=r"absent: no such file. The trunk is torchvision"):
        perceptual.load_lpips_alex(tmp_path / "absent", heads)
    with pytest.raises(FileNotFoundError, match=r"absent: no such file. The heads are .*alex\.pth"):
        perceptual.load_lpips_alex(trunk, tmp_path / "absent")
    with pytest.raises(ValueError, match=r"lacks features.0.weight, .*torchvision"):
        perceptual.load_lpips_alex(heads, heads)
    (tmp_path / "cut.npz").write_bytes(heads.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cut.npz is no checkpoint, or a broken one.*The heads"):
        perceptual.load_lpips_alex(trunk, tmp_path / "cut.npz")
    with np.load(heads) as file:
        np.savez(tmp_path / "nan.npz", **{name: file[name] * np.nan for name in file.files})
    with pytest.raises(ValueError, match=r"nan\.npz: .* is not all finite; expected"):
        perceptual.load_lpips_alex(trunk, tmp_path / "nan.npz")


def test_lpips_refuses_frames_that_are_too_small(lpips_files):
    lpips = perceptual.load_lpips_alex(*lpips_files)
    with pytest.raises(ValueError, match="30x64; LPIPS needs at least 31x31"):
        lpips(np.zeros((1, 30, 64, 1), np.float32), np.zeros((1, 30, 64, 1), np.float32))
    assert np.isfinite(lpips(image(31, 31, 1, 0.0), image(31, 31, 1, 0.7)))


def test_lpips_as_a_metric_is_openstls_convention(lpips_files):
    """Predictions are clipped to [0, 1]; the figure is the mean over frames."""
    p, y = (GOLDEN[f"rgb/{key}"][None] for key in ("pred", "true"))
    lpips = perceptual.load_lpips_alex(*lpips_files)
    evaluator = Evaluator((), extra={"lpips": lpips}, keep_samples=True)
    evaluator.update(p, y)
    evaluator.update(p + 2.0, y, valid=np.zeros(1, bool))
    np.testing.assert_allclose(evaluator.compute()["lpips"], GOLDEN["rgb/lpips"].mean(), atol=1e-5)
    frames = evaluator.per_sample_frame()["lpips"]
    np.testing.assert_allclose(frames, GOLDEN["rgb/lpips"][None], atol=1e-5)
    assert evaluator.metrics["lpips"].better == "lower"


def test_equal_images_symmetry_and_shapes(narrow):
    p, y = (np.stack([image(24, 21, 3, i + phase) for i in range(6)]) for phase in (0.0, 0.4))
    p, y = p.reshape(2, 3, 24, 21, 3), y.reshape(2, 3, 24, 21, 3)
    distance = narrow(p, y)
    assert distance.shape == (2, 3)
    assert (distance > 1e-3).all()
    np.testing.assert_allclose(narrow(y, p), distance, rtol=1e-5)
    assert (jnp.abs(narrow(p, p)) < 1e-10).all()
    assert narrow(p[:0], y[:0]).shape == (0, 3)


def test_grey_is_repeated_to_rgb(narrow):
    p, y = image(24, 21, 1, 0.0)[None], image(24, 21, 1, 0.5)[None]
    rgb = narrow(p.repeat(3, -1), y.repeat(3, -1))
    np.testing.assert_allclose(narrow(p, y), rgb, rtol=1e-6)


def test_chunks_do_not_change_the_distances(narrow, monkeypatch):
    p, y = (np.stack([image(21, 21, 1, i + phase) for i in range(5)]) for phase in (0.0, 0.4))
    whole = narrow(p, y)
    monkeypatch.setattr(distance, "CHUNK_PIXELS", 2 * 21 * 21)
    np.testing.assert_allclose(perceptual.st_lpips(*narrow.args, p, y), whole, rtol=1e-5)


def test_a_shift_costs_less_than_a_new_texture(narrow):
    rng = np.random.default_rng(1)
    big = rng.random((33, 33, 1), np.float32)
    other = rng.random((32, 32, 1), np.float32)
    shifted = narrow(big[1:, 1:], big[:-1, :-1])
    assert shifted < 0.8 * narrow(big[1:, 1:], other)


def test_flat_images_have_a_finite_gradient(narrow):
    flat = jnp.full((1, 21, 21, 1), 0.5)
    gradient = jax.grad(lambda p: narrow(p, flat).sum())(flat * 0.0)
    assert jnp.isfinite(gradient).all()


def test_st_lpips_as_a_metric(narrow):
    p, y = (np.stack([image(21, 21, 1, i + phase) for i in range(6)]) for phase in (0.0, 0.4))
    p, y = p.reshape(2, 3, 21, 21, 1), y.reshape(2, 3, 21, 21, 1)
    evaluator = Evaluator(("mse",), extra={"st_lpips_alex": narrow})
    evaluator.update(p, y)
    expected = np.asarray(narrow(p, y))
    np.testing.assert_allclose(evaluator.compute()["st_lpips_alex"], expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(evaluator.per_frame()["st_lpips_alex"], expected.mean(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((21, 21, 2), (21, 21, 2)), "2 channels"),
        (((20, 21, 1), (20, 21, 1)), "20x21; ST-LPIPS needs at least 21x21"),
        (((21, 21, 1), (21, 21, 3)), "equal shapes"),
    ],
)
def test_bad_frames_are_refused(shapes, message, narrow):
    with pytest.raises(ValueError, match=message):
        narrow(*(np.zeros(shape, np.float32) for shape in shapes))


def test_incomplete_weights_are_refused(tmp_path):
    arrays = {name: np.zeros(shape) for name, shape in st_lpips_alex.expected_arrays().items()}
    removed = arrays.pop("lin4.model.1.weight")
    np.savez(tmp_path / "missing.npz", **arrays)
    with pytest.raises(ValueError, match=r"lacks lin4\.model\.1\.weight\. .*stlpips-pytorch"):
        perceptual.load_st_lpips_alex(tmp_path / "missing.npz")
    arrays["lin4.model.1.weight"] = removed[:, :7]
    np.savez(tmp_path / "shape.npz", **arrays)
    with pytest.raises(ValueError, match=r"shape \(1, 7, 1, 1\); expected \(1, 256, 1, 1\)"):
        perceptual.load_st_lpips_alex(tmp_path / "shape.npz")
    with pytest.raises(FileNotFoundError, match=r"absent.npz: no such file.*savez"):
        perceptual.load_st_lpips_alex(tmp_path / "absent.npz")


@pytest.mark.skipif(
    not (WEIGHTS and EXAMPLES),
    reason="set PDR_ST_LPIPS_WEIGHTS to the .npz of stlpips-pytorch's AlexNet and "
    "PDR_ST_LPIPS_EXAMPLES to a folder with its example images st_lpips_{ref,p0,p1}.png",
)
def test_distances_of_the_authors_examples():
    import imageio.v3 as iio

    ref, p0, p1 = (
        np.float32(iio.imread(Path(EXAMPLES) / f"st_lpips_{name}.png")) / 255
        for name in ("ref", "p0", "p1")
    )
    distance = perceptual.load_st_lpips_alex(WEIGHTS)
    np.testing.assert_allclose(distance(p0, ref), 0.7777555, rtol=1e-6)
    np.testing.assert_allclose(distance(p1, ref), 0.1320, atol=5e-5)
