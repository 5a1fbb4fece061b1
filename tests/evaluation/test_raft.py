"""RAFT: the authors' flows for closed-form weights, frames of any size, refusals.

Where trained weights are at hand also a known motion.
"""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import GOLDEN
from scipy import ndimage

from pdr_jax.metrics import raft
from pdr_jax.metrics.raft import correlation, flow, weights

with np.load(GOLDEN / "raft.npz") as file:
    RECORDED = {key: file[key] for key in file.files}
CONFIG = json.loads(str(RECORDED["config"]))
# The recorded pair, there and back.
FIRST = np.float32(RECORDED["frames"]) / 255
SECOND = FIRST[::-1]


def closed_form(name, shape):
    """A tensor of the recording, by PyTorch's name of it."""
    name = name.removeprefix("module.").replace("downsample.1", "norm3")
    seed = sum((k + 1) * ord(letter) for k, letter in enumerate(name))
    index = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(100_003 * seed)
    unit = (index * np.uint64(2654435761) % np.uint64(2**32)).reshape(shape) / 2.0**31 - 1
    if len(shape) == 4:
        unit *= (8 if "flow_head.conv2" in name else 2) / np.sqrt(np.prod(shape[1:]))
    elif name.endswith(("weight", "running_var")):
        unit = 1 + unit / 2
    else:
        unit /= 10
    return np.float32(unit)


def write(folder, size):
    """The authors' state dict of a size, as an .npz."""
    arrays = {name: closed_form(name, shape) for name, shape in CONFIG[size].items()}
    np.savez(folder / f"{size}.npz", **arrays)
    return folder / f"{size}.npz"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("raft"), "small")


@pytest.fixture(scope="module")
def small(file):
    """The small model; every test calls it on two pairs that it sees as 128x136, compiled once."""
    return raft.load_raft(file, iterations=CONFIG["iterations"])


@pytest.fixture(scope="module")
def flows(small):
    return small(FIRST, SECOND)


def check(flows, size):
    found, expected = flows[:, ::3, ::3], RECORDED[size]
    # PyTorch's float32 itself is 2e-4 from its float64.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert np.abs(expected).max() > 4


def test_equals_the_authors_small_model(flows):
    check(flows, "small")


@pytest.mark.rest
def test_equals_the_authors_full_model(tmp_path):
    full = raft.load_raft(write(tmp_path, "full"), iterations=CONFIG["iterations"])
    check(full(FIRST, SECOND), "full")


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=pytest.mark.rest)])
def test_torchvisions_files_hold_the_same_weights_under_other_names(size, tmp_path):
    path = write(tmp_path, size)
    with np.load(path) as arrays:
        renamed = {
            name: arrays[f"module.{authors}"] if authors else np.int64(0)
            for name, authors in CONFIG[f"{size} torchvision"].items()
        }
    np.savez(tmp_path / "torchvision.npz", **renamed)
    found_size, found = weights.read(tmp_path / "torchvision.npz")
    expected_size, expected = weights.read(path)
    assert found_size == expected_size
    assert sum(leaf.size for leaf in jax.tree.leaves(found["params"])) == CONFIG["parameters"][size]
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_small_frames_are_enlarged_and_their_flow_is_averaged_back(small):
    first, second = FIRST[:, :64, :68], SECOND[:, :64, :68]
    shape = (2, 128, 136, 3)
    large = small(*(jax.image.resize(frames, shape, "bilinear") for frames in (first, second)))
    expected = large.reshape(2, 64, 2, 68, 2, 2).mean((2, 4)) / 2
    np.testing.assert_allclose(small(first, second), expected, atol=1e-3)


def test_chunks_do_not_change_the_flows(small, flows, monkeypatch):
    monkeypatch.setattr(flow, "CHUNK_PIXELS", 2 * 121 * 130)
    once, again = (np.concatenate([frames, frames[:1]]) for frames in (FIRST, SECOND))
    np.testing.assert_array_equal(small(once, again), np.concatenate([flows, flows[:1]]))
    assert small(FIRST[:0], SECOND[:0]).shape == (0, 121, 130, 2)


def test_channels_and_missing_values(small):
    """Grey and the mean of two channels stand for RGB; NaN is 0, and values are clipped."""
    first, second = (frames.mean(-1, keepdims=True) / 2 for frames in (FIRST, SECOND))
    grey = small(first, second)
    for factors in (np.ones(3), np.array([0.8, 1.2])):
        sides = (np.float32(factors) * frames for frames in (first, second))
        np.testing.assert_allclose(small(*sides), grey, atol=1e-3)
    pair = np.stack([first[0], first[0]])
    pair[0, :40], pair[1, :40] = np.nan, -1
    missing, zero = small(pair, second[[0, 0]])
    np.testing.assert_array_equal(missing, zero)


def test_look_up_equals_scipy():
    """Also beyond the border, where correlations are 0; a window's columns come before its rows."""
    rng = np.random.default_rng(0)
    first, second = jnp.asarray(rng.standard_normal((2, 1, 9, 10, 5), np.float32))
    positions = rng.uniform(-3, 13, (1, 9, 10, 2)).astype(np.float32)
    positions[0, 0, 0] = 1e30, -1e30

    @jax.jit
    def found_around(positions):
        levels = correlation.correlation_pyramid(first, second)
        return correlation.look_up(levels, positions, 2)

    found = np.asarray(found_around(positions)).reshape(90, 4, 5, 5)
    products = np.einsum("ijc,klc->ijkl", first[0], second[0]).reshape(90, 9, 10) / np.sqrt(5)
    for level in range(4):
        for place in range(90):
            x, y = positions.reshape(90, 2)[place] / 2**level
            columns, rows = np.mgrid[-2:3, -2:3] + np.float64([x, y]).reshape(2, 1, 1)
            expected = ndimage.map_coordinates(
                products[place], [rows, columns], order=1, mode="grid-constant"
            )
            np.testing.assert_allclose(found[place, level], expected, atol=1e-5)
        height, width = products.shape[1] // 2, products.shape[2] // 2
        blocks = products[:, : 2 * height, : 2 * width].reshape(90, height, 2, width, 2)
        products = blocks.mean((2, 4))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 15, 40, 1), "15x40, which RAFT sees as 135x360; expected frames of at least 16x16"),
        ((1, 1024, 1032, 1), "seen as at most 1048576 pixels: leave RAFT's warping metrics out"),
    ],
)
def test_frames_that_are_too_small_or_too_large_are_refused(small, shape, message):
    frames = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=message):
        small(frames, frames)


def test_files_that_are_wrong_are_refused(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth: no such file\..* models\.zip"):
        raft.load_raft(tmp_path / "absent.pth")
    with pytest.raises(ValueError, match="iterations=0: expected 1 or more"):
        raft.load_raft(file, iterations=0)
    with np.load(file) as arrays:
        good = dict(arrays)
    kernel = "module.update_block.gru.convz.weight"
    for changes, message in (
        ({"module.cnet.conv1.bias": None}, r"lacks cnet\.conv1\.bias\. RAFT's trained weights"),
        ({kernel: good[kernel][:, 1:]}, r"convz.weight has shape \(96, 241, 3, 3\); expected"),
        ({kernel: good[kernel] * np.nan}, r"convz.weight is not all finite"),
        ({"module.att.to_v.weight": good[kernel]}, r"holds att\.to_v\.weight, which RAFT does not"),
    ):
        arrays = {name: array for name, array in (good | changes).items() if array is not None}
        np.savez(tmp_path / "changed.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            raft.load_raft(tmp_path / "changed.npz")
    np.savez(tmp_path / "other.npz", weight=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz lacks cnet\.conv1\..* and \d+ more"):
        raft.load_raft(tmp_path / "other.npz")


@pytest.mark.skipif(
    "PDR_RAFT_WEIGHTS" not in os.environ,
    reason="set PDR_RAFT_WEIGHTS to a file of trained weights, such as raft-things.pth",
)
@pytest.mark.parametrize("size", [64, 128])
def test_trained_weights_find_a_known_motion(size):
    """Of a texture that moves 3 pixels to the right and 1 down."""
    noise = np.random.default_rng(0).random((size + 8, size + 8))
    smooth = ndimage.gaussian_filter(noise, 1.5)
    texture = np.float32((smooth - smooth.min()) / np.ptp(smooth))[None, ..., None]
    first, second = texture[:, 4:-4, 4:-4], texture[:, 3:-5, 1:-7]
    found = raft.load_raft(os.environ["PDR_RAFT_WEIGHTS"])(first, second)
    np.testing.assert_allclose(np.median(found, (0, 1, 2)), [3.0, 1.0], atol=0.5)
