"""TaxiBJ: OpenSTL's clips and DeepST's series, both in the files' real layout; broken files."""

import h5py
import numpy as np
import pytest

import pdr_datasets
from pdr_datasets import npz
from pdr_datasets.taxibj import openstl, taxibj_dataset_builder

MEMBERS = ("X_train", "Y_train", "X_test", "Y_test")
H5_FILES = [f"BJ{year}_M32x32_T30_InOut.h5" for year in (13, 14, 15, 16)]


def clips(train=5, test=2, dtype=np.float32):
    """The four arrays of OpenSTL's file, without two values alike in a clip's first cells."""
    rng = np.random.default_rng(0)
    shapes = {name: (train if "train" in name else test, 4, 2, 32, 32) for name in MEMBERS}
    return {name: rng.uniform(-1, 1, shape).astype(dtype) for name, shape in shapes.items()}


def write_npz(folder, save=np.savez, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "dataset.npz", **arrays)
    return folder / "dataset.npz"


def load(data_dir, manual_dir, **options):
    pdr_datasets.prepare("taxibj", data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load("taxibj", data_dir=data_dir, **options)


def ids(source):
    return [int(source[i]["id"]) for i in range(len(source))]


@pytest.mark.parametrize(("save", "dtype"), [(np.savez, "f4"), (np.savez_compressed, "f8")])
def test_openstls_clips(tmp_path, monkeypatch, save, dtype):
    monkeypatch.setattr(openstl, "_BLOCK", 2)
    arrays = clips(dtype=dtype)
    write_npz(tmp_path / "in/taxibj", save, **arrays)
    dataset = load(tmp_path, tmp_path / "in")
    assert (dataset.config, dataset.frame_shape) == ("32x32_4to4", (32, 32, 2))
    assert (dataset.units, dataset.data_range) == (pdr_datasets.Units(-1.0, 2.0), (0.0, 1.0))
    assert dataset.scoring == pdr_datasets.Scoring()  # OpenSTL's figures are in [0, 1] units
    for part, count in (("train", 5), ("test", 2)):
        source = dataset.splits[part]
        assert ids(source) == list(range(count))
        whole = np.concatenate([arrays[f"X_{part}"], arrays[f"Y_{part}"]], axis=1)
        for i in range(count):
            wanted = np.moveaxis(whole[i], 1, -1).astype(np.float32)
            assert source[i]["frames"].dtype == np.float32
            np.testing.assert_array_equal(source[i]["frames"], wanted)
            np.testing.assert_allclose(dataset.units.normalise(wanted), (wanted + 1) / 2)
    assert dataset.note == (
        "dataset.npz holds 5 clips for training and 2 for testing; published are 20461 and 500."
    )
    shorter = pdr_datasets.load("taxibj", data_dir=tmp_path, config="32x32_4to4", out_length=1)
    assert shorter.splits["test"][0]["frames"].shape == (5, 32, 32, 2)
    again = load(tmp_path, tmp_path / "in", in_length=3, out_length=2)
    np.testing.assert_array_equal(
        again.splits["train"][4]["frames"], dataset.splits["train"][4]["frames"][:5]
    )


def test_the_published_counts_need_no_note(tmp_path):
    shapes = {"train": (20461, 4, 2, 32, 32), "test": (500, 4, 2, 32, 32)}
    parts = {
        part: tuple(npz.Member(tmp_path, part, shape, np.dtype("f4")) for _ in "XY")
        for part, shape in shapes.items()
    }
    assert openstl.describe_counts(parts) == ""


def changed(name, change):
    arrays = clips()
    arrays[name] = change(arrays[name])
    return {key: value for key, value in arrays.items() if value is not None}


def at(index, value):
    def change(array):
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("Y_test", lambda a: None, r"no array 'Y_test'\. It holds: X_train, Y_train, X_test"),
        (
            "X_train",
            lambda a: a[:, :3],
            r"'X_train' has shape \(5, 3, 2, 32, 32\): expected \(N, 4",
        ),
        ("X_train", lambda a: np.moveaxis(a, 2, -1), r"\(5, 4, 32, 32, 2\)"),
        ("X_train", lambda a: a[:3], "'X_train' has 3 clips and 'Y_train' 5"),
        ("Y_train", at((3, 1, 0, 2, 5), np.nan), r"'Y_train' is nan at \(3, 1, 0, 2, 5\)"),
        ("X_test", at((1, 0, 1, 4, 4), 1.5), r"'X_test' is 1\.5 at \(1, 0, 1, 4, 4\): .*\[-1, 1\]"),
        ("X_test", at((0, 0, 0, 0, 0), -np.inf), "'X_test' is -inf"),
        ("X_train", lambda a: a.astype(str), "dtype <U32: expected numbers"),
    ],
)
def test_bad_clips_are_refused(tmp_path, monkeypatch, name, change, message):
    monkeypatch.setattr(openstl, "_BLOCK", 2)
    write_npz(tmp_path / "in", **changed(name, change))
    with pytest.raises(ValueError, match=message):
        load(tmp_path, tmp_path / "in")
    assert not list(tmp_path.glob("taxibj/32x32*"))


def test_clips_in_0_to_1_are_refused(tmp_path):
    write_npz(tmp_path / "in", **{name: (array + 1) / 2 for name, array in clips().items()})
    with pytest.raises(
        ValueError, match=r"'X_train' and 'Y_train' hold no value below .*2 \* array"
    ):
        load(tmp_path, tmp_path / "in")
    assert not list(tmp_path.glob("taxibj/32x32*"))


def test_truncated_clips_are_refused(tmp_path):
    path = write_npz(tmp_path / "in", **clips())
    content = path.read_bytes()
    for size in (0, 100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:size])
        with pytest.raises(OSError, match=r"dataset\.npz cannot be read .*is truncated"):
            load(tmp_path, tmp_path / "in")
    place = content.index(b"X_test.npy") + 2000  # a byte of its values: only the sum tells
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(OSError, match=r"dataset\.npz cannot be read .*CRC"):
        load(tmp_path, tmp_path / "in")
    assert not list(tmp_path.glob("taxibj/32x32*"))


def times(month, days, slots=48):
    return [f"{month}{day:02d}{slot:02d}".encode() for day in days for slot in range(1, slots + 1)]


def write_h5(folder, series):
    """The four files; each frame is full of its number in all four, outflow a half more."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for name, date in zip(H5_FILES, series, strict=True):
        data = np.zeros((len(date), 2, 32, 32))
        data += np.arange(number, number + len(date)).reshape(-1, 1, 1, 1)
        data[:, 1] += 0.5
        number += len(date)
        with h5py.File(folder / name, "w") as file:
            file["data"] = data
            file["date"] = np.array(date)


def four(change=lambda dates: dates):
    return [
        times("201307", (1, 2)),
        change(times("201403", (1, 2, 3))),
        times("201503", (5,)),
        times("201511", (1, 2)),
    ]


def first_numbers(source):
    """The number of each sample's first frame, and that its frames succeed one another."""
    found = []
    for i in range(len(source)):
        numbers = source[i]["frames"][:, 0, 0, 0]
        np.testing.assert_array_equal(np.diff(numbers), 1)
        np.testing.assert_array_equal(source[i]["frames"][:, 31, 31, 1], numbers + 0.5)
        found.append(int(numbers[0]))
    return found


def test_deepsts_series(tmp_path, monkeypatch):
    monkeypatch.setattr(taxibj_dataset_builder, "TEST_DAYS", 1)
    # 2 March 2014 lacks a slot. The days left: two | one | one | one and, for testing, one.
    write_h5(tmp_path / "in/TaxiBJ", four(lambda dates: dates[:60] + dates[61:]))
    dataset = load(tmp_path, tmp_path / "in", source="deepst", in_length=4, out_length=40)
    assert (dataset.config, dataset.frame_shape) == ("32x32_4to40_deepst", (32, 32, 2))
    train, test = dataset.splits["train"], dataset.splits["test"]
    # Frames are numbered as in the files; 96 + 48 ... 96 + 94 are those of 2 March.
    assert first_numbers(train) == [
        *range(96 - 43),
        *range(96, 96 + 5),
        *range(191, 191 + 5),
        *range(239, 239 + 5),
        *range(287, 287 + 5),
    ]
    assert first_numbers(test) == list(range(335, 335 + 5))
    # The greatest count for training is that of frame 334, outflow.
    np.testing.assert_allclose(
        dataset.units.normalise(np.array([[0, 334.5]])), [[-1, 1]], atol=1e-6
    )
    np.testing.assert_allclose(
        dataset.units.denormalise(np.array([[-1, 1]])), [[0, 334.5]], atol=1e-4
    )
    assert dataset.data_range == (-1.0, 1.0)
    assert dataset.scoring == pdr_datasets.Scoring(units="stored", spatial_norm=True)
    assert dataset.note == f"Not the published file, by its MD5 sum: {', '.join(H5_FILES)}."


def test_a_missing_slot_can_be_a_frame_of_nan(tmp_path, monkeypatch):
    monkeypatch.setattr(taxibj_dataset_builder, "TEST_DAYS", 1)
    write_h5(tmp_path / "in", four(lambda dates: dates[:60] + dates[61:]))
    dataset = load(tmp_path, tmp_path / "in", config="32x32_4to4_deepst_mask")
    assert dataset.fill == -1.0
    train = dataset.splits["train"]
    assert len(train) == (96 - 7) + (144 - 7) + (48 - 7) + (48 - 7)  # the test day is the last
    clip = train[89 + 55]["frames"][..., 0, 0, 0]  # from slot 56 of 1 March: slot 61 is missing
    np.testing.assert_array_equal(clip, [151, 152, 153, 154, 155, np.nan, 156, 157])
    with pytest.raises(ValueError, match="missing='mask': expected 'leave_out' or, with source="):
        load(tmp_path, tmp_path / "in", missing="mask")


def test_the_last_four_weeks_are_for_testing(tmp_path):
    series = four()
    series[3] = times("201511", range(1, 29))
    write_h5(tmp_path / "in", series)
    dataset = load(tmp_path, tmp_path / "in", config="32x32_4to4_deepst")
    test = dataset.splits["test"]
    assert len(test) == 28 * 48 - 7
    assert first_numbers([test[0], test[-1]]) == [288, 288 + 28 * 48 - 8]
    assert len(dataset.splits["train"]) == (96 - 7) + (144 - 7) + (48 - 7)


def test_deepsts_files_are_all_needed_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(taxibj_dataset_builder, "TEST_DAYS", 1)
    write_h5(tmp_path / "in", four())
    (tmp_path / "in" / H5_FILES[1]).rename(tmp_path / "14.h5")
    (tmp_path / "in" / H5_FILES[2]).rename(tmp_path / "15.h5")
    missing = rf"does not hold {H5_FILES[1]}, {H5_FILES[2]}\.\n.*{H5_FILES[0]}, {H5_FILES[1]}"
    with pytest.raises(FileNotFoundError, match=missing):
        load(tmp_path, tmp_path / "in", source="deepst")
    (tmp_path / "14.h5").rename(tmp_path / "in" / H5_FILES[2])  # exchanged
    (tmp_path / "15.h5").rename(tmp_path / "in" / H5_FILES[1])
    with pytest.raises(ValueError, match=rf"{H5_FILES[2]} begins before .*{H5_FILES[1]} ends"):
        load(tmp_path, tmp_path / "in", source="deepst")
    write_h5(tmp_path / "in", four(lambda dates: [*dates[:7], dates[6], *dates[8:]]))
    with pytest.raises(ValueError, match=rf"{H5_FILES[1]}: 'date' is twice at 6 and 7: 2014030107"):
        load(tmp_path, tmp_path / "in", source="deepst")
    write_h5(tmp_path / "in", four(lambda dates: [*dates[:-1], b"2014030349"]))
    with pytest.raises(ValueError, match="'2014030349' at 143: expected a slot from 01 to 48"):
        load(tmp_path, tmp_path / "in", source="deepst")
    write_h5(tmp_path / "in", four())
    content = (tmp_path / "in" / H5_FILES[3]).read_bytes()
    (tmp_path / "in" / H5_FILES[3]).write_bytes(content[:-100])
    with pytest.raises(OSError, match=rf"{H5_FILES[3]} is not an HDF5 file .*truncated"):
        load(tmp_path, tmp_path / "in", source="deepst")
    assert not list(tmp_path.glob("taxibj/32x32*"))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset\.npz(?s:.)*BJ13_M32x32_T30_InOut\.h5"):
        pdr_datasets.prepare("taxibj", data_dir=tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").touch()
    with pytest.raises(
        FileNotFoundError, match=r"does not hold dataset\.npz\.\n.*X_train, Y_train"
    ):
        pdr_datasets.prepare("taxibj", data_dir=tmp_path, manual_dir=tmp_path / "in")
    with pytest.raises(pdr_datasets.NotPreparedError, match=r"not prepared.*prepare\('taxibj'"):
        pdr_datasets.load("taxibj", data_dir=tmp_path)
    for folder in ("a", "b"):
        write_npz(tmp_path / "in" / folder, **clips())
    with pytest.raises(ValueError, match=r"dataset\.npz is there twice"):
        pdr_datasets.prepare("taxibj", data_dir=tmp_path, manual_dir=tmp_path / "in")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_length": 5}, r"holds clips of 4 \+ 4 frames, not the series.*source='deepst'"),
        ({"config": "32x32_12to12"}, r"in_length=12, out_length=12"),
        ({"config": "64x64_4to4"}, "expected a name such as '32x32_4to4' or '32x32_4to4_deepst'"),
        ({"source": "simvp"}, "source='simvp': expected one of openstl, deepst"),
        ({"size": 32}, "taxibj has no option 'size'. It has: in_length, out_length, source"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pdr_datasets.load("taxibj", data_dir=tmp_path, **options)
