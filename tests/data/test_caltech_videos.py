"""Caltech's .seq videos: the format, OpenSTL's shrinking, and their part of kitticaltech."""

import io
import struct

import h5py
import numpy as np
import pytest
from PIL import Image
from skimage.transform import resize

import pdr_datasets
from pdr_datasets.kitticaltech.caltech import find_videos, read_seq, read_video, shrinking


def picture(seed):
    """Smooth, in colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)


def jpeg(image):
    encoded = io.BytesIO()
    image.save(encoded, "jpeg", quality=95)
    return encoded.getvalue()


def seq(images, gap=16, form=201):
    """A file as Norpix's program writes it: a header, then length, image, time, empty bytes."""
    header = b"\xed\xfe\0\0" + "Norpix seq".encode("utf-16-le").ljust(24, b"\0")
    header += struct.pack("<2i", 3, 1024) + bytes(512)
    header += struct.pack("<9Id", 640, 480, 24, 8, 921600, form, len(images), 0, 922112, 30)
    content = header.ljust(1024, b"\0")
    for image in images:
        content += struct.pack("<I", len(image) + 4) + image + b"time\1\2".ljust(gap, b"\0")
    return content


@pytest.fixture(scope="module")
def images():
    return [jpeg(picture(seed)) for seed in range(10)]


@pytest.mark.parametrize("gap", [8, 16])
def test_images_are_found_with_and_without_empty_bytes(images, tmp_path, gap):
    path = tmp_path / "V000.seq"
    path.write_bytes(seq(images, gap))
    assert list(read_seq(path)) == images


def test_every_third_frame_is_shrunk_as_by_scikit_image(images, tmp_path):
    path = tmp_path / "V000.seq"
    path.write_bytes(seq(images))
    frames = list(read_video(path))
    assert len(frames) == 3
    for frame, image in zip(frames, images[2::3], strict=True):
        bgr = np.asarray(Image.open(io.BytesIO(image)))[..., ::-1]
        wanted = resize(bgr, (128, 171), preserve_range=True)[:, 5:165]
        assert (frame.shape, frame.dtype) == ((128, 160, 3), np.uint8)
        apart = wanted - frame
        assert apart.min() > -1e-3
        assert apart.max() < 1 + 1e-3  # fractions are cut
    noise = np.random.default_rng(0).random((48, 64))
    shrunk = shrinking(48, 13) @ noise @ shrinking(64, 17).T
    np.testing.assert_allclose(shrunk, resize(noise, (13, 17)), atol=1e-6)


def test_broken_videos_are_refused(images, tmp_path):
    path = tmp_path / "V000.seq"
    content = seq(images[:3])
    small = jpeg(picture(0).resize((320, 240)))
    for broken, error, message in (
        (b"", OSError, "no .seq file of JPEG images"),
        (content[:1000], OSError, "no .seq file of JPEG images"),
        (seq(images[:3], form=100), OSError, "no .seq file of JPEG images"),
        (content[:-100], OSError, "its header promises 3 frames, 2 can be read"),
        (content[:1024], OSError, "its header promises 3 frames, 0 can be read"),
        (seq([b"abc"] * 3), OSError, "frame 2 cannot be read as JPEG"),
        (seq([small] * 3), ValueError, "frame 2 is 240 x 320; expected 480 x 640"),
    ):
        path.write_bytes(broken)
        with pytest.raises(error, match=rf"V000\.seq.* {message}"):
            list(read_video(path))


def test_videos_of_the_test_sets_are_the_test_part(images, tmp_path):
    root = tmp_path / "files"
    for place in ("Test/set06/V001", "Test/set06/V000", "Test/set10/V000", "Train/set05/V000"):
        path = root / f"{place}.seq"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seq(images if "V001" in place else images[:7]))
    with h5py.File(root / "X_train.hkl", "w") as file:
        file["data_0"] = np.zeros((3, 128, 160, 3), np.uint8)
    with h5py.File(root / "sources_train.hkl", "w") as file:
        file["data_0"] = ["city"] * 3
    few = {"in_length": 1, "out_length": 1}
    pdr_datasets.prepare("kitticaltech", data_dir=tmp_path, manual_dir=root, **few)
    dataset = pdr_datasets.load("kitticaltech", data_dir=tmp_path, **few)
    assert "Test clips were made of Caltech's videos" in dataset.note
    test = dataset.splits["test"]
    # Of two, three and two frames; the last clip of a video ends with it.
    assert [int(test[k]["id"]) for k in range(len(test))] == [0, 3, 5]
    (_, second, third) = read_video(root / "Test/set06/V001.seq")
    np.testing.assert_array_equal(test[1]["frames"][..., ::-1], [second, third])
    (root / "set06").mkdir()
    (root / "set06/V001.seq").touch()
    with pytest.raises(ValueError, match=r"set06/V001\.seq is there twice"):
        find_videos(root)
