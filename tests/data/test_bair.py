"""BAIR: TFRecord files read without TensorFlow, clips of any length, refusals by record."""

import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorboardX.record_writer import RecordWriter

import pdr_datasets
from pdr_datasets.bair.tfrecords import bytes_features, read_records

FRAMES = 6
FEW = {"in_length": 1, "out_length": 2}


def write(path, *records):
    """A TFRecord file, written by other code than ours."""
    writer = RecordWriter(str(path))
    for record in records:
        writer.write(record)
    writer.close()


def example(features):
    """tf.train.Example of bytes and of lists of floats, written by TFDS."""
    kinds = {
        name: tfds.features.Text()
        if isinstance(value, bytes)
        else tfds.features.Tensor(shape=(len(value),), dtype=np.float32)
        for name, value in features.items()
    }
    described = tfds.features.FeaturesDict(kinds)
    serializer = tfds.core.ExampleSerializer(described.get_serialized_info())
    return serializer.serialize_example(described.encode_example(features))


def image(part, trajectory, number, camera):
    """Every value tells the part, the trajectory, the frame and the camera."""
    frame = np.full((64, 64, 3), 100 * (part == "test") + 10 * trajectory + number, np.uint8)
    frame[0, 0] = [1, 2, 3]
    frame[1] += camera == "main"
    return frame


def trajectory(part, number, frames=FRAMES):
    features = {}
    for k in range(frames):
        features[f"{k}/action"] = [0.5, 1, 2, 3]
        for camera in ("aux1", "main"):
            features[f"{k}/image_{camera}/encoded"] = image(part, number, k, camera).tobytes()
    return example(features)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two files of two trajectories and one, and a test file of two."""
    root = tmp_path_factory.mktemp("bair") / "softmotion30_44k"
    for path, part, numbers in (
        ("train/traj_0_to_1", "train", (0, 1)),
        ("train/traj_2_to_2", "train", (2,)),
        ("test/traj_0_to_1", "test", (0, 1)),
    ):
        file = root / f"{path}.tfrecords"
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, *(trajectory(part, number) for number in numbers))
    return root.parent


@pytest.fixture
def folder(original, tmp_path):
    """A copy that may be broken."""
    return shutil.copytree(original, tmp_path / "files")


def load(data_dir, manual_dir, **options):
    options = {**FEW, **options}
    pdr_datasets.prepare("bair", data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load("bair", data_dir=data_dir, **options)


def clips(source):
    """(trajectory, first frame) of each clip, after a look at all pixels of the first camera."""
    found = []
    for k in range(len(source)):
        sample = source[k]
        value = int(sample["frames"][0, 5, 5, 0])
        part, (number, first) = ("test" if value >= 100 else "train"), divmod(value % 100, 10)
        wanted = [image(part, number, first + step, "aux1") for step in range(3)]
        np.testing.assert_array_equal(sample["frames"], wanted)
        assert sample["frames"].dtype == np.uint8
        assert sample["id"] == FRAMES * number + first
        found.append((number, first))
    return found


def test_one_build_serves_both_protocols_and_any_length(original, tmp_path):
    dataset = load(tmp_path, original, protocol="openstl")
    assert (dataset.config, dataset.frame_shape, dataset.overlap) == ("64x64_aux1", (64, 64, 3), 2)
    everywhere = [(number, first) for number in range(3) for first in range(4)]
    assert clips(dataset.splits["train"]) == everywhere
    assert clips(dataset.splits["test"]) == everywhere[:8]
    wanted = "Of the trajectories there are 3 train, 2 test; published are 43264 train, 256 test."
    assert dataset.note == wanted
    standard = pdr_datasets.load("bair", data_dir=tmp_path, **FEW)
    assert clips(standard.splits["train"]) == everywhere
    assert clips(standard.splits["test"]) == [(0, 0), (0, 3), (1, 0), (1, 3)]  # share no frame
    longest = pdr_datasets.load("bair", data_dir=tmp_path, in_length=2, out_length=4)
    assert [len(longest.splits[part]) for part in ("train", "test")] == [3, 2]
    with pytest.raises(ValueError, match="in_length=2, out_length=5: no recording of the train"):
        pdr_datasets.load("bair", data_dir=tmp_path, in_length=2, out_length=5)


def test_the_other_camera(original, tmp_path):
    dataset = load(tmp_path, original, camera="main")
    assert dataset.config == "64x64_main"
    frames = dataset.splits["test"][0]["frames"]
    np.testing.assert_array_equal(frames, [image("test", 0, k, "main") for k in range(3)])


def refused(tmp_path, folder, error, message):
    with pytest.raises(error, match=message):
        load(tmp_path / "data", folder)
    assert not list((tmp_path / "data").glob("bair/64*"))


def test_damaged_files_are_refused_by_record_and_leave_nothing(folder, tmp_path):
    path = folder / "softmotion30_44k/test/traj_0_to_1.tfrecords"
    content = path.read_bytes()
    half = len(content) // 2  # where the second record begins
    for broken, message in (
        (content[:-1], "is truncated in record 1"),
        (content[: half + 5], "is truncated in record 1"),
        (content[:100] + b"\xff" + content[101:], "record 0 is damaged: its checksum"),
        (content[:half] + b"\xff" + content[half + 1 :], "record 1 is damaged, or .* its length"),
        (b"not a TFRecord file", "record 0 is damaged, or this is no TFRecord file"),
    ):
        path.write_bytes(broken)
        refused(tmp_path, folder, OSError, rf"traj_0_to_1\.tfrecords:? {message}")
    small = example({"0/image_aux1/encoded": b"jpeg"})
    for record, message in (
        (b"\xff" * 20, "it is no tf.train.Example. Fetch the file again"),
        (content[12 : half - 5], "it is no tf.train.Example"),
        (b"\x08\x01", "it is no tf.train.Example"),
        (b"", "holds no '0/image_aux1/encoded'. It holds: nothing"),
        (example({"frame": b"abc"}), "holds no '0/image_aux1/encoded'. It holds: frame"),
        (small, "'0/image_aux1/encoded' holds 4 bytes: expected 12288"),
    ):
        path.unlink()
        write(path, record)
        refused(tmp_path, folder, ValueError, rf"traj_0_to_1\.tfrecords: record 0:? {message}")


def test_missing_and_doubled_folders_are_refused(folder, tmp_path):
    root = folder / "softmotion30_44k"
    (folder / "copy").mkdir()
    (root / "test").rename(folder / "copy/test")
    (folder / "more/test").mkdir(parents=True)
    (folder / "more/test/a.tfrecords").touch()
    refused(tmp_path, folder, ValueError, "are there twice: .*copy/test, .*more/test")
    refused(tmp_path, root, FileNotFoundError, r"holds no test/\*\.tfrecords.\n.*softmotion30_44k")
    for options, message in (
        ({"camera": "aux2"}, "bair: camera='aux2': expected one of aux1, main"),
        ({"protocol": "mine"}, "bair: protocol='mine': expected one of openstl, standard"),
        ({"config": "64x64"}, "config='64x64': expected a name such as '64x64_aux1'"),
    ):
        with pytest.raises(ValueError, match=message):
            pdr_datasets.load("bair", data_dir=tmp_path, **options)


def test_features_of_other_kinds_are_passed_over():
    unknown = b"\x12\x01x" + b"\x18\x05" + b"\x21" + bytes(8) + b"\x2d" + bytes(4)
    record = unknown + example({"a": b"first", "b": [1.0], "c": b""})
    assert {k: bytes(v) for k, v in bytes_features(record).items()} == {"a": b"first", "c": b""}
    with pytest.raises(ValueError, match=r"it is no tf\.train\.Example"):
        bytes_features(b"\x08" + b"\xff" * 10)


def test_empty_records_are_records(tmp_path):
    write(tmp_path / "a.tfrecords", b"", b"abc")
    assert list(read_records(tmp_path / "a.tfrecords")) == [b"", b"abc"]
