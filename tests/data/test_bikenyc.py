"""BikeNYC: ST-ResNet's file and plain flows; gaps, splits, scaling, broken files."""

import sys

import h5py
import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.bikenyc import bikenyc_dataset_builder

H5_FILE = "NYC14_M16x8_T60_NewEnd.h5"


def counts(hours):
    """(hours, 2, 16, 8): no two frames, channels, rows or columns alike."""
    steps = np.arange(hours).reshape(-1, 1, 1, 1) * 10
    return (steps + np.arange(256).reshape(2, 16, 8)).astype(np.float64)


def dates(days, slots=24, first="201404"):
    return [f"{first}{day:02d}{slot:02d}".encode() for day in days for slot in range(1, slots + 1)]


def write_h5(path, data, date):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["data"] = data
        file["date"] = np.array(date)
    return path


@pytest.fixture
def short_test(monkeypatch):
    monkeypatch.setattr(bikenyc_dataset_builder, "TEST_DAYS", 1)


def load(data_dir, manual_dir, **options):
    pdr_datasets.prepare("bikenyc", data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load("bikenyc", data_dir=data_dir, **options)


def ids(source):
    return [int(source[i]["id"]) for i in range(len(source))]


def test_the_last_ten_days_are_for_testing(tmp_path):
    data = counts(12 * 24)
    write_h5(tmp_path / "in/BikeNYC" / H5_FILE, data, dates(range(1, 13)))
    dataset = load(tmp_path, tmp_path / "in")
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (len(train), len(test)) == (2 * 24 - 7, 10 * 24 - 7)
    assert (dataset.config, dataset.frame_shape) == ("16x8_4to4", (16, 8, 2))
    assert (dataset.in_length, dataset.out_length) == (4, 4)
    frames = np.moveaxis(data, 1, -1)
    for source, index, first in ((train, 0, 0), (train, -1, 40), (test, 0, 48), (test, 232, 280)):
        sample = source[index]
        assert sample["frames"].dtype == np.float32
        np.testing.assert_array_equal(sample["frames"], frames[first : first + 8])
    assert test[0]["id"] == 0
    # Fitted on the training part: its frames are 0 to 47.
    assert dataset.units == pdr_datasets.Units(0.0, 47 * 10 + 255)
    assert dataset.data_range == (0.0, 1.0)
    assert dataset.scoring == pdr_datasets.Scoring(units="stored", spatial_norm=True)
    assert dataset.note == f"Not the published file, by its MD5 sum: {H5_FILE}."


def test_windows_cross_neither_gaps_nor_incomplete_days(tmp_path, short_test):
    # Day 3 lacks one hour, day 5 altogether: the days 1 2 | 4 | 6 7 and 8, for testing, remain.
    date = [d for d in dates((1, 2, 3, 4, 6, 7, 8)) if d != b"2014040310"]
    data = counts(len(date))
    data[0, 0, 0, 0] = -5  # as DeepST: becomes 0
    write_h5(tmp_path / "in" / H5_FILE, data, date)
    dataset = load(tmp_path, tmp_path / "in", in_length=2, out_length=20)
    assert dataset.config == "16x8_2to20"
    assert ids(dataset.splits["train"]) == [*range(27), *range(48, 51), *range(72, 99)]
    assert ids(dataset.splits["test"]) == [0, 1, 2]
    sample = dataset.splits["train"][27]["frames"]  # the first of day 4
    np.testing.assert_array_equal(sample[0], np.moveaxis(data[71], 0, -1))
    assert dataset.splits["train"][0]["frames"].min() == 0
    shorter = pdr_datasets.load("bikenyc", data_dir=tmp_path, config="16x8_2to20", out_length=1)
    assert shorter.splits["test"][0]["frames"].shape == (3, 16, 8, 2)


def test_plain_flows_are_taken_for_gapless(tmp_path, short_test):
    data = counts(50).astype(np.float32)
    (tmp_path / "in").mkdir()
    np.savez_compressed(tmp_path / "in/bikenyc_flow_hourly.npz", flow=data)
    dataset = load(tmp_path, tmp_path / "in")
    assert ids(dataset.splits["train"]) == list(range(26 - 7))
    assert ids(dataset.splits["test"]) == list(range(24 - 7))
    wanted = np.moveaxis(data[26:34], 1, -1)
    np.testing.assert_array_equal(dataset.splits["test"][0]["frames"], wanted)
    np.testing.assert_array_equal(
        dataset.units.normalise(wanted), wanted / np.float32(dataset.units.scale)
    )
    assert dataset.units.scale == 25 * 10 + 255
    assert "50 frames without timestamps" in dataset.note
    (tmp_path / "in/other").mkdir()
    np.savez(tmp_path / "in/other/bikenyc.npz", flow=data)
    with pytest.raises(ValueError, match="keep the one"):
        load(tmp_path, tmp_path / "in", out_length=2)


def with_nan(data):
    data[48, 1, 2, 3] = np.nan
    return data


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data", with_nan, r"holds NaN or infinity, the first at \(48, 1, 2, 3\)"),
        (
            "data",
            lambda d: d[:, :1],
            r"'data' has shape \(72, 1, 16, 8\): expected \(T, 2, 16, 8\)",
        ),
        ("data", lambda d: d.swapaxes(2, 3), r"shape \(72, 2, 8, 16\)"),
        ("data", lambda d: d[:0], r"shape \(0, 2, 16, 8\)"),
        ("data", lambda d: d[:71], r"'date' has shape \(72,\): expected \(71,\)"),
        ("data", lambda d: d * 0, r"every count of the training part is 0\.0"),
        ("data", lambda d: d / d.max(), "hold values that have been scaled"),
        ("data", lambda d: d.astype("S4"), "expected numbers"),
        ("date", lambda d: [*d[:5], d[4], *d[6:]], "twice at 4 and 5: 2014040105, 2014040105"),
        ("date", lambda d: [d[1], d[0], *d[2:]], "out of order at 0 and 1: 2014040102, 2014040101"),
        ("date", lambda d: [*d[:71], b"2014040325"], "'2014040325' at 71: .* slot from 01 to 24"),
        ("date", lambda d: [b"2014040100", *d[1:]], "slot from 01 to 24"),
        ("date", lambda d: [b"2014023101", *d[1:]], "'2014023101' at 0: day"),
        ("date", lambda d: [b"14040101", *d[1:]], "expected ten digits"),
        ("date", lambda d: [*d[:24], *dates((5,), first="201403"), *d[48:]], "out of order"),
    ],
)
def test_bad_series_are_refused(tmp_path, short_test, name, change, message):
    content = {"data": counts(72), "date": dates((1, 2, 3))}
    content[name] = change(content[name])
    write_h5(tmp_path / "in" / H5_FILE, **content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path, tmp_path / "in")
    assert not list(tmp_path.glob("bikenyc/16x8*"))


def test_too_short_a_series_is_refused(tmp_path, short_test):
    write_h5(tmp_path / "in" / H5_FILE, counts(24), dates([1]))
    with pytest.raises(ValueError, match=r"no train window of 8 frames.* 24 usable frames"):
        load(tmp_path, tmp_path / "in")
    write_h5(tmp_path / "in" / H5_FILE, counts(48), dates((1, 2)))
    with pytest.raises(ValueError, match=r"'16x8_4to24': no train window of 28 frames"):
        load(tmp_path, tmp_path / "in", out_length=24)
    assert not list(tmp_path.glob("bikenyc/16x8*"))


def test_broken_h5_files_are_refused(tmp_path, short_test):
    path = write_h5(tmp_path / "in" / H5_FILE, counts(72), dates((1, 2, 3)))
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"nonsense", b""):
        path.write_bytes(broken)
        with pytest.raises(OSError, match=rf"{H5_FILE} is not an HDF5 file .* Fetch it again"):
            load(tmp_path, tmp_path / "in")
    with h5py.File(path, "w") as file:
        file["data"] = counts(24)
        file["when"] = 1
    with pytest.raises(ValueError, match=r"holds no 'date'\. It holds: data, when"):
        load(tmp_path, tmp_path / "in")
    # A damaged chunk is noticed where it is read.
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=counts(72), chunks=(8, 2, 16, 8), fletcher32=True)
        file["date"] = np.array(dates((1, 2, 3)))
        place = file["data"].id.get_chunk_info(4).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"damaged!")
    with pytest.raises(OSError, match=r"'data' cannot be read from entry 0"):
        load(tmp_path, tmp_path / "in")
    assert not list(tmp_path.glob("bikenyc/16x8*"))
    path.write_bytes(content)
    assert len(load(tmp_path, tmp_path / "in").splits["test"]) == 17


def test_broken_npz_files_are_refused(tmp_path, short_test):
    path = tmp_path / "in/bikenyc.npz"
    path.parent.mkdir()
    np.savez(path, flow=counts(72))
    content = path.read_bytes()
    for broken in (content[:-40], content[: len(content) // 2], b""):
        path.write_bytes(broken)
        with pytest.raises(OSError, match=r"bikenyc\.npz cannot be read as \.npz, or is truncated"):
            load(tmp_path, tmp_path / "in")
    path.write_bytes(content[:2000] + b"damaged!" + content[2008:])
    with pytest.raises(OSError, match=r"bikenyc\.npz cannot be read .*CRC"):
        load(tmp_path, tmp_path / "in")
    for arrays, message in (
        ({"x": counts(72)}, "holds no array 'flow'. It holds: x"),
        ({"flow": counts(72)[:, 0]}, r"'flow' has shape \(72, 16, 8\)"),
        ({"flow": np.asfortranarray(counts(72))}, "Fortran order"),
        ({"flow": with_nan(counts(72))}, "NaN"),
        ({"flow": counts(72).astype(object)}, "dtype object: expected numbers"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=message):
            load(tmp_path, tmp_path / "in")
    assert not list(tmp_path.glob("bikenyc/16x8*"))


def test_missing_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=rf"{H5_FILE}(?s:.)*bikenyc\*\.npz"):
        pdr_datasets.prepare("bikenyc", data_dir=tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=rf"does not hold {H5_FILE}\.(?s:.)*Put it into"):
        pdr_datasets.prepare("bikenyc", data_dir=tmp_path, manual_dir=tmp_path / "in")
    with pytest.raises(pdr_datasets.NotPreparedError, match=r"not prepared.*prepare\('bikenyc'"):
        pdr_datasets.load("bikenyc", data_dir=tmp_path)
    write_h5(tmp_path / "in" / H5_FILE, counts(24), dates([1]))
    monkeypatch.setitem(sys.modules, "h5py", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"pip install pdr-jax\[data\]"):
        pdr_datasets.prepare("bikenyc", data_dir=tmp_path, manual_dir=tmp_path / "in")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": "8x16_4to4"}, "config='8x16_4to4': expected a name such as '16x8_4to4'"),
        ({"in_length": 0}, "in_length=0"),
        ({"size": 16}, "bikenyc has no option 'size'. It has: in_length, out_length"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pdr_datasets.load("bikenyc", data_dir=tmp_path, **options)


def test_flow_arrays_of_the_same_layout_are_scaled_by_their_training_part(tmp_path):
    """As nyctaxi's: (T, 2, H, W) counts through "arrays"."""
    data = counts(60).astype(np.float32)
    np.savez(tmp_path / "nyctaxi.npz", flow=data, other=np.zeros((60, 2, 2, 2)))
    dataset = pdr_datasets.load(
        "arrays",
        path=tmp_path / "nyctaxi.npz",
        key="flow",
        axes="TCHW",
        in_length=4,
        out_length=4,
        test_fraction=0.2,
    )
    assert dataset.frame_shape == (16, 8, 2)
    assert {name: len(s) for name, s in dataset.splits.items()} == {"train": 41, "test": 5}
    assert dataset.units == pdr_datasets.Units(0.0, 47 * 10 + 255)
    test = dataset.splits["test"][0]
    np.testing.assert_array_equal(test["frames"], np.moveaxis(data[48:56], 1, -1))
    assert dataset.units.normalise(test["frames"]).max() > 1
