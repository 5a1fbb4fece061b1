"""Moving MNIST and Moving Fashion-MNIST: OpenSTL's motion, repeatable clips, broken files."""

import gzip
import struct

import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.moving_mnist.motion import MovingDigits, draw_clip, draw_path

SMALL = {"num_train": 6, "num_test": 3, "in_length": 2, "out_length": 3}


def digits(number=12):
    """Digit k is uniformly bright, k + 1."""
    return np.broadcast_to(
        np.arange(1, number + 1, dtype=np.uint8)[:, np.newaxis, np.newaxis], (number, 28, 28)
    )


def idx(images, magic=2051):
    return struct.pack(">4I", magic, *images.shape) + images.tobytes()


@pytest.fixture
def folder(tmp_path):
    """MNIST's file as it is distributed, and the fixed test file with 4 clips."""
    folder = tmp_path / "files/moving_mnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(digits())))
    clips = np.random.default_rng(0).integers(0, 256, (20, 4, 64, 64)).astype(np.uint8)
    np.save(folder / "mnist_test_seq.npy", clips)
    return folder.parent


def load(data_dir, manual_dir, **options):
    options = {**SMALL, **options}
    pdr_datasets.prepare("moving_mnist", data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load("moving_mnist", data_dir=data_dir, **options)


def all_frames(source):
    return np.stack([source[i]["frames"] for i in range(len(source))])


def openstl_path(start, heading, length):
    """The rule as published, one coordinate at a time."""
    steps = []
    for place, velocity in zip(start, (np.sin(heading), np.cos(heading)), strict=True):
        sign, path = 1, []
        for _ in range(length):
            place += sign * velocity * 0.1
            if place <= 0:
                place, sign = 0, -sign
            if place >= 1:
                place, sign = 1, -sign
            path.append(int(36 * place))
        steps.append(path)
    return np.transpose(steps)


def test_paths_are_those_of_openstl():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        start, heading = [rng.random(), rng.random()], 2 * np.pi * rng.random()
        path = np.array(draw_path(np.random.default_rng(seed), 40))
        np.testing.assert_array_equal(path, openstl_path(start, heading, 40))
        assert path.min() >= 0
        assert path.max() <= 36
        assert len(np.unique(path[:, 0])) > 1


def test_a_clip_holds_two_whole_digits_and_the_brighter_shows():
    overlaps = 0
    for seed in range(20):
        frames = draw_clip(np.random.default_rng(seed), digits(), 20)
        assert (frames.shape, frames.dtype) == ((20, 64, 64, 1), np.uint8)
        values = np.unique(frames)[1:]
        for frame in frames:
            assert np.count_nonzero(frame == values[-1]) >= 28 * 28  # hidden by nothing
            area = np.count_nonzero(frame)
            assert 28 * 28 <= area <= 2 * 28 * 28
            overlaps += area < 2 * 28 * 28
    assert overlaps


def test_clips_are_functions_of_seed_part_and_index():
    def clips(size=5, length=4, seed=0, part=0):
        return all_frames(MovingDigits(digits(), size, length=length, seed=seed, part=part))

    np.testing.assert_array_equal(clips(), clips())
    np.testing.assert_array_equal(clips(size=9)[:5], clips())
    np.testing.assert_array_equal(clips(length=9)[:, :4], clips())
    assert len({clip.tobytes() for clip in clips()}) == 5
    assert not np.array_equal(clips(), clips(seed=1))
    assert not np.array_equal(clips(), clips(part=1))
    with pytest.raises(IndexError, match="index=5: there are 5"):
        MovingDigits(digits(), 5, length=1, seed=0, part=0)[5]


def test_training_is_drawn_and_the_test_file_is_served(folder, tmp_path):
    dataset = load(tmp_path, folder)
    assert dataset.config == "2to3_6train_3test_seed0"
    assert dataset.frame_shape == (64, 64, 1)
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (len(train), len(test)) == (6, 4)  # the file is used whole
    wanted = all_frames(MovingDigits(digits(), 6, length=5, seed=0, part=0))
    np.testing.assert_array_equal(all_frames(train), wanted)
    stored = np.load(folder / "moving_mnist/mnist_test_seq.npy")
    np.testing.assert_array_equal(all_frames(test)[..., 0], stored[:5].swapaxes(0, 1))
    for source in (train, test):
        assert source[3]["frames"].dtype == np.uint8
        assert [int(source[i]["id"]) for i in range(4)] == [0, 1, 2, 3]
    assert "holds 12 images; published are 60000" in dataset.note
    assert "Not the published file" in dataset.note
    assert dataset.units.normalise(test[0]["frames"]).max() <= 1


def test_more_training_clips_go_on_where_fewer_end(folder, tmp_path):
    few, many = (load(tmp_path, folder, num_train=number) for number in (4, 8))
    np.testing.assert_array_equal(
        all_frames(many.splits["train"])[:4], all_frames(few.splits["train"])
    )
    shorter = pdr_datasets.load("moving_mnist", data_dir=tmp_path, config=few.config, out_length=1)
    np.testing.assert_array_equal(
        all_frames(shorter.splits["train"]), all_frames(few.splits["train"])[:, :3]
    )


def test_without_the_test_file_clips_are_drawn_from_digits_held_out(folder, tmp_path):
    (folder / "moving_mnist/mnist_test_seq.npy").unlink()
    dataset = load(tmp_path, folder, num_train=80, num_test=20, out_length=30)
    assert "not the benchmark's" in dataset.note
    train, test = (all_frames(dataset.splits[name]) for name in ("train", "test"))
    assert (len(train), len(test)) == (80, 20)
    assert set(np.unique(train)) == set(range(11))  # digits 0 to 9, and the background
    assert set(np.unique(test)) == {0, 11, 12}


@pytest.mark.parametrize("key", ["image", "images"])
def test_digits_from_other_files(folder, tmp_path, key):
    wanted = all_frames(load(tmp_path, folder).splits["train"])
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "train-images-idx3-ubyte").write_bytes(idx(digits()))
    archive = tmp_path / "archive"
    archive.mkdir()
    np.savez(archive / "mnist.npz", **{key: digits(), "label": np.arange(12)})
    for other in (plain, archive):
        (other / "mnist_test_seq.npy").symlink_to(folder / "moving_mnist/mnist_test_seq.npy")
        found = load(tmp_path / f"from_{other.name}", other)
        np.testing.assert_array_equal(all_frames(found.splits["train"]), wanted)


def refused(tmp_path, folder, error, message, **options):
    with pytest.raises(error, match=message):
        load(tmp_path / "data", folder, **options)
    assert not list((tmp_path / "data").glob("moving_mnist/*to*"))


def test_broken_digits_are_refused_and_leave_nothing(folder, tmp_path):
    path = folder / "moving_mnist/train-images-idx3-ubyte.gz"
    for content, message in (
        (gzip.compress(idx(digits()))[:-20], "cannot be read.*Fetch it again"),
        (idx(digits()), "cannot be read"),  # not packed
        (gzip.compress(idx(digits())[:-1]), "holds 9423 bytes; its header .* promises 9424"),
        (gzip.compress(idx(digits(), magic=2049)), "is not an idx file of images"),
        (gzip.compress(b""), "is not an idx file of images"),
        (gzip.compress(idx(digits()[:, :27])), r"holds uint8 \(12, 27, 28\); expected uint8"),
        (gzip.compress(idx(digits(1))), r"holds uint8 \(1, 28, 28\); expected .* N at least 2"),
    ):
        path.write_bytes(content)
        refused(tmp_path, folder, ValueError, rf"train-images-idx3-ubyte\.gz {message}")
    path.unlink()
    refused(tmp_path, folder, FileNotFoundError, r"holds no digits(?s:.)*mnist_test_seq\.npy")
    archive = path.with_name("a.npz")
    for arrays, message in (
        ({"x": digits()}, "holds x; expected 'image' or 'images'"),
        ({"image": digits() / 255}, "holds float64"),
    ):
        np.savez(archive, **arrays)
        refused(tmp_path, folder, ValueError, message)
    archive.write_bytes(archive.read_bytes()[:-30])
    refused(tmp_path, folder, OSError, r"a\.npz cannot be read")
    np.savez(path.with_name("b.npz"), image=digits())
    refused(tmp_path, folder, ValueError, r"holds several \.npz: .*a\.npz, .*b\.npz")


def test_broken_test_clips_are_refused_and_leave_nothing(folder, tmp_path):
    path = folder / "moving_mnist/mnist_test_seq.npy"
    content = path.read_bytes()
    refused(tmp_path, folder, ValueError, "= 21: the clips of .* have 20 frames", out_length=19)
    for size in (40, len(content) - 1):
        path.write_bytes(content[:size])
        refused(tmp_path, folder, ValueError, r"mnist_test_seq\.npy cannot be read")
    for wrong in (np.zeros((20, 4, 32, 32), np.uint8), np.zeros((20, 4, 64, 64), np.int32)):
        np.save(path, wrong)
        refused(tmp_path, folder, ValueError, r"expected uint8 \(20, N, 64, 64\)")


def test_missing_files_and_bad_options_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz"):
        pdr_datasets.prepare("moving_mnist", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="not prepared"):
        pdr_datasets.load("moving_mnist", data_dir=tmp_path)
    for options, message in (
        ({"num_train": 0}, "num_train=0"),
        ({"seed": -1}, "seed=-1"),
        ({"config": "10to10"}, "config='10to10': expected a name such as"),
    ):
        with pytest.raises(ValueError, match=message):
            pdr_datasets.load("moving_mnist", data_dir=tmp_path, **options)


def test_moving_fmnist_draws_alike_and_takes_test_clips_in_float32(folder, tmp_path):
    images = folder / "moving_mnist/train-images-idx3-ubyte.gz"
    clips = np.load(folder / "moving_mnist/mnist_test_seq.npy")
    fashion = tmp_path / "fashion"
    fashion.mkdir()
    (fashion / images.name).write_bytes(images.read_bytes())
    np.save(fashion / "fmnist_test_seq.npy", clips.astype(np.float32))
    places = {"data_dir": tmp_path / "data", "manual_dir": fashion}
    pdr_datasets.prepare("moving_fmnist", **places, **SMALL)
    dataset = pdr_datasets.load("moving_fmnist", data_dir=tmp_path / "data", **SMALL)
    assert (dataset.name, dataset.config) == ("moving_fmnist", "2to3_6train_3test_seed0")
    assert dataset.note.endswith(
        "Not the published file, by its MD5 sum: train-images-idx3-ubyte.gz."
    )
    wanted = all_frames(MovingDigits(digits(), 6, length=5, seed=0, part=0))
    np.testing.assert_array_equal(all_frames(dataset.splits["train"]), wanted)
    test = all_frames(dataset.splits["test"])
    assert test.dtype == np.uint8
    np.testing.assert_array_equal(test[..., 0], clips[:5].swapaxes(0, 1))
    for value in (0.5, 256, np.nan):
        broken = clips.astype(np.float32)
        broken[2, 3, 1, 1] = value
        np.save(fashion / "fmnist_test_seq.npy", broken)
        with pytest.raises(ValueError, match=f"fmnist_test_seq.npy: clip 3 holds {value}"):
            pdr_datasets.prepare("moving_fmnist", **places, **SMALL, seed=1)
    with pytest.raises(ValueError, match=r"moving_fmnist: config='x': expected a name such as"):
        pdr_datasets.load("moving_fmnist", data_dir=tmp_path, config="x")
