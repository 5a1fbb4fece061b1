"""KittiCaltech: hickle's files without hickle, OpenSTL's clips and orders of channels."""

import h5py
import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.kitticaltech.hickle import open_array, read_texts

FEW = {"in_length": 2, "out_length": 1}
DRIVES = ["city-0001"] * 8 + ["road-0002"] * 2 + ["city-0003"] * 3
STARTS = [7, 0, 3]  # OpenSTL lists the last clip first


def frames(number, first=0):
    """Frame k is (first + k, 2 (first + k), 255) everywhere, but for a corner."""
    values = np.arange(first, first + number)
    pictures = np.stack([values, 2 * values, np.full(number, 255)], -1).astype(np.uint8)
    pictures = np.repeat(np.repeat(pictures[:, None, None], 128, 1), 160, 2)
    pictures[:, 0, :3, 0] = [7, 8, 9]
    return pictures


def openstl_starts(sources, length):
    """The rule as published: from the last frame backwards."""
    starts, index = [], len(sources) - 1
    while index >= length - 1:
        if sources[index] == sources[index - length + 1]:
            starts.append(index - length + 1)
            index -= length - 1
        index -= 1
    return starts


def write_array(path, array, version=3):
    """As hickle 1, 2 to 3, and 4 to 5 lay out an array."""
    with h5py.File(path, "w") as file:
        file.create_dataset("data_0" if version in (2, 3) else "data", data=array)
        if version == 1:
            file["type"] = [b"ndarray"]
        else:
            file.attrs["CLASS" if version < 4 else "HICKLE_VERSION"] = "hickle"


def write_texts(path, texts, version=3):
    """As hickle 1, 2 to 4, and 5 lay out a list of texts; 5 refers to texts that it has written."""
    with h5py.File(path, "w") as file:
        if version == 1:
            file["data"], file["type"] = [text.encode() for text in texts], [b"list"]
        elif version < 5:
            name = "data" if version == 4 else "data_0"
            file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        else:
            group, written = file.create_group("data"), {}
            for k, text in enumerate(texts):
                if text in written:
                    group.create_dataset(f"data{k}", data=written[text], dtype=h5py.ref_dtype)
                    continue
                letters = np.frombuffer(text.encode(), "S1")[np.newaxis]
                written[text] = group.create_dataset(f"data{k}", data=letters).ref


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """PredNet's KITTI with three drives, and OpenSTL's caches of Caltech."""
    root = tmp_path_factory.mktemp("kitticaltech")
    for name in ("kitti_hkl", "caltech"):
        (root / name).mkdir()
    write_array(root / "kitti_hkl/X_train.hkl", frames(len(DRIVES)))
    write_texts(root / "kitti_hkl/sources_train.hkl", DRIVES)
    np.save(root / "caltech/data_cache.npy", frames(11, first=50)[..., ::-1])
    np.save(root / "caltech/indices_cache.npy", np.array(STARTS, np.int32))
    return root


def load(data_dir, manual_dir, **options):
    options = {**FEW, **options}
    pdr_datasets.prepare("kitticaltech", data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load("kitticaltech", data_dir=data_dir, **options)


def firsts(source):
    """The number of each clip's first frame, after a look at all values."""
    found = []
    for k in range(len(source)):
        clip = source[k]["frames"]
        found.append(int(clip[0, 5, 5, 0]))
        np.testing.assert_array_equal(clip, frames(len(clip), first=found[-1]))
    assert len({int(source[k]["id"]) for k in range(len(source))}) == len(found)
    return found


def test_clips_and_orders_of_channels_are_openstls(folder, tmp_path):
    dataset = load(tmp_path, folder)
    assert (dataset.config, dataset.frame_shape, dataset.overlap) == ("128x160", (128, 160, 3), 0)
    assert dataset.note == ""
    assert firsts(dataset.splits["train"]) == sorted(openstl_starts(DRIVES, 3)) == [2, 5, 10]
    assert firsts(dataset.splits["test"]) == [50, 53, 57]
    openstl = pdr_datasets.load("kitticaltech", data_dir=tmp_path, protocol="openstl", **FEW)
    assert "blue, green, red in test clips" in openstl.note
    for part, order in (("train", 1), ("test", -1)):
        np.testing.assert_array_equal(
            openstl.splits[part][1]["frames"][..., ::order],
            dataset.splits[part][1]["frames"],
        )
    longer = {"in_length": 3, "out_length": 5}
    with pytest.raises(ValueError, match="no recording of the test part has 8 frames"):
        pdr_datasets.load("kitticaltech", data_dir=tmp_path, **longer)
    pair = pdr_datasets.load("kitticaltech", data_dir=tmp_path, in_length=1, out_length=1)
    assert firsts(pair.splits["train"]) == sorted(openstl_starts(DRIVES, 2))


def test_openstls_four_arrays(folder, tmp_path):
    root = tmp_path / "kitticaltech_npy"
    root.mkdir()
    np.save(root / "train_data.npy", frames(6) / 255)
    np.save(root / "train_idx.npy", np.array([0, 3]))
    np.save(root / "test_data.npy", np.load(folder / "caltech/data_cache.npy"))
    np.save(root / "test_idx.npy", np.array(STARTS))
    dataset = load(tmp_path / "data", root)
    assert firsts(dataset.splits["train"]) == [0, 3]
    assert firsts(dataset.splits["test"]) == [50, 53, 57]


@pytest.mark.parametrize("version", [1, 2, 4, 5])
def test_every_version_of_hickle(tmp_path, version):
    array, path = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), tmp_path / "a.hkl"
    write_array(path, array, version)
    with open_array(path) as (_, data):
        np.testing.assert_array_equal(data[()], array)
    texts = [f"city-{k // 2}" for k in range(24)]  # the tenth item comes after the second
    write_texts(path, texts, version)
    assert read_texts(path) == texts


def replaced(folder, tmp_path, name, write):
    """A folder of links to the files, but for one."""
    root = tmp_path / f"other_{len(list(tmp_path.iterdir()))}"
    root.mkdir()
    for path in folder.glob("*/*"):
        if path.name != name:
            (root / path.name).symlink_to(path)
    write(root / name)
    return root


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("X_train.hkl", lambda p: p.write_bytes(b"x"), "X_train.hkl is not an HDF5 file"),
        (
            "X_train.hkl",
            lambda p: write_array(p, np.zeros((13, 8, 8, 3), np.uint8)),
            r"X_train.hkl holds uint8 \(13, 8, 8, 3\): expected uint8 \(N, 128, 160, 3\)",
        ),
        (
            "X_train.hkl",
            lambda p: write_array(p, frames(12)),
            "sources_train.hkl holds 13 names, and X_train.hkl 12 frames",
        ),
        (
            "sources_train.hkl",
            lambda p: write_array(p, np.zeros(13)),
            "sources_train.hkl: 'data_0' is no list of texts",
        ),
        (
            "sources_train.hkl",
            lambda p: h5py.File(p, "w").create_group("frames").file.close(),
            "sources_train.hkl holds frames: expected 'data' or 'data_0'",
        ),
        (
            "data_cache.npy",
            lambda p: np.save(p, np.full((11, 128, 160, 3), 2, np.float32)),
            "data_cache.npy: frame 0 holds 2.0: expected values from 0 to 1",
        ),
        (
            "indices_cache.npy",
            lambda p: np.save(p, np.array([0, 3, 9])),
            "indices_cache.npy holds clips from 0 to 9, 3 .* within the 11 frames",
        ),
        (
            "indices_cache.npy",
            lambda p: np.save(p, np.array([0.0])),
            r"indices_cache.npy holds float64 \(1,\): expected whole numbers",
        ),
    ],
)
def test_broken_files_are_refused_and_leave_nothing(folder, tmp_path, name, write, message):
    other = replaced(folder, tmp_path, name, write)
    with pytest.raises((ValueError, OSError), match=message):
        load(tmp_path / "data", other)
    assert not list((tmp_path / "data").glob("kitticaltech/128*"))


def test_missing_and_doubled_files_are_refused(folder, tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"does not hold X_train.hkl, .*(?s:.)*Or OpenSTL"):
        load(tmp_path / "data", tmp_path)
    other = replaced(folder, tmp_path, "X_train.hkl", lambda p: None)
    (other / "more").mkdir()
    (other / "more/data_cache.npy").touch()
    with pytest.raises(ValueError, match=r"data_cache\.npy is there twice"):
        load(tmp_path / "data", other)
    with pytest.raises(ValueError, match="kitticaltech: protocol='bgr': expected one of openstl"):
        pdr_datasets.load("kitticaltech", data_dir=tmp_path, protocol="bgr")
