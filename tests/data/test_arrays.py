"""A user's own arrays: windows, splits, scaling, and what is refused."""

import sys

import numpy as np
import pytest

import pdr_datasets


def load(array=None, **options):
    return pdr_datasets.load("arrays", array=array, **options)


def series(length=20, height=3, width=4, channels=1, dtype=np.uint8):
    frames = np.zeros((length, height, width, channels), dtype)
    frames += np.arange(length, dtype=dtype).reshape(-1, 1, 1, 1)
    return frames


def test_series_windows_do_not_straddle_the_boundary():
    dataset = load(series(20), in_length=2, out_length=3, test_fraction=0.4)
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert [int(train[i]["id"]) for i in range(len(train))] == list(range(8))  # frames 0 to 11
    assert [int(test[i]["id"]) for i in range(len(test))] == list(range(12, 16))
    np.testing.assert_array_equal(train[7]["frames"][:, 0, 0, 0], [7, 8, 9, 10, 11])
    np.testing.assert_array_equal(test[3]["frames"][:, 0, 0, 0], [15, 16, 17, 18, 19])
    assert train[0]["frames"].dtype == np.uint8
    assert (dataset.units, dataset.data_range) == (pdr_datasets.Units(0.0, 255.0), (0.0, 1.0))


def test_stride_and_negative_index():
    source = load(series(20), in_length=2, out_length=2, stride=5, test_fraction=0).splits["train"]
    assert [int(source[i]["id"]) for i in range(len(source))] == [0, 5, 10, 15]
    assert int(source[-1]["id"]) == 15
    with pytest.raises(IndexError):
        source[4]


def test_samples_are_split_by_sample_and_cut_to_the_lengths():
    array = np.arange(10 * 6, dtype=np.uint8).reshape(10, 6, 1, 1, 1) + np.zeros(
        (1, 1, 2, 3, 1), np.uint8
    )
    dataset = load(array, in_length=3, out_length=2, test_fraction=0.3)
    assert [len(dataset.splits[name]) for name in ("train", "test")] == [7, 3]
    sample = dataset.splits["test"][0]
    assert sample["id"] == 7
    np.testing.assert_array_equal(sample["frames"], array[7, :5])
    halves = load(array)
    assert (halves.in_length, halves.out_length) == (3, 3)
    assert load(array, out_length=1).in_length == 5


def test_scaling_is_fitted_on_the_training_part_only():
    array = series(10, channels=2, dtype=np.float64)
    array[..., 1] *= 10
    array[8:] += 1000.0
    options = {"in_length": 1, "out_length": 1, "test_fraction": 0.2}
    dataset = load(array, **options)
    assert (dataset.units, dataset.data_range) == (pdr_datasets.Units(0.0, 70.0), (0.0, 1.0))
    assert dataset.splits["train"][0]["frames"].dtype == np.float32
    zscore = load(array, scaling="zscore", per_channel=True, **options)
    np.testing.assert_allclose(zscore.units.offset, array[:8].mean((0, 1, 2)))
    np.testing.assert_allclose(zscore.units.scale, array[:8].std((0, 1, 2)))
    both = load(array, scaling="zscore", **options)
    np.testing.assert_allclose(
        [both.units.offset, both.units.scale], [array[:8].mean(), array[:8].std()]
    )
    given = load(array, scaling=(1, 2), **options)
    assert (given.units, given.data_range) == (pdr_datasets.Units(1.0, 2.0), (-0.5, 34.5))


def test_statistics_do_not_depend_on_the_chunks(monkeypatch):
    array = np.random.default_rng(0).normal(300, 0.01, (50, 3, 3, 2)).astype(np.float32)
    options = {"in_length": 1, "out_length": 1, "scaling": "zscore", "per_channel": True}
    whole = load(array, **options)
    monkeypatch.setattr("pdr_datasets.arrays.view._CHUNK_BYTES", 500)
    parts = load(array, **options)
    np.testing.assert_allclose(parts.units.offset, whole.units.offset, rtol=1e-12)
    np.testing.assert_allclose(parts.units.scale, whole.units.scale, rtol=1e-9)


def test_all_for_testing_needs_a_given_scaling():
    array = series(10, dtype=np.float32)
    with pytest.raises(ValueError, match="test_fraction=1"):
        load(array, in_length=1, out_length=1, test_fraction=1)
    dataset = load(array, in_length=1, out_length=1, test_fraction=1, scaling=(0, 9))
    assert list(dataset.splits) == ["test"]
    assert dataset.data_range == (0.0, 1.0)


def test_npy_is_memory_mapped_and_equal(tmp_path):
    array = series(20)
    np.save(tmp_path / "a.npy", array)
    dataset = pdr_datasets.load("arrays", path=tmp_path / "a.npy", in_length=2, out_length=2)
    np.testing.assert_array_equal(dataset.splits["train"][3]["frames"], array[3:7])
    assert dataset.config == "a.npy_2to2"


def test_npz_chooses_the_only_video_or_the_key(tmp_path):
    np.savez(tmp_path / "a.npz", t2m=series(20), time=np.arange(20))
    options = {"in_length": 1, "out_length": 1}
    load(path=tmp_path / "a.npz", **options)
    np.savez(tmp_path / "b.npz", x=series(20), y=series(20) + 1)
    with pytest.raises(ValueError, match=r"x \(20, 3, 4, 1\), y .*key="):
        load(path=tmp_path / "b.npz", **options)
    sample = load(path=tmp_path / "b.npz", key="y", **options).splits["train"][0]
    assert sample["frames"][0, 0, 0, 0] == 1
    with pytest.raises(ValueError, match="key='z'"):
        load(path=tmp_path / "b.npz", key="z", **options)


def test_zarr_is_read_as_needed(tmp_path):
    import zarr

    array = series(20, channels=2).astype(np.float32)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    stored = group.create_array("v", shape=array.shape, dtype=array.dtype, chunks=(4, 3, 4, 2))
    stored[:] = array
    dataset = load(path=tmp_path / "a.zarr", in_length=2, out_length=2)
    np.testing.assert_array_equal(dataset.splits["train"][5]["frames"], array[5:9])
    assert dataset.units.scale == 15.0


def test_missing_zarr_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)  # as if it were not installed
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ImportError, match=r"pip install pdr-jax\[data\]"):
        load(path=tmp_path / "a.zarr", in_length=1, out_length=1)


def test_crop_keeps_the_top_left():
    array = np.arange(5 * 4 * 6, dtype=np.float32).reshape(5, 4, 6)
    dataset = load(array, in_length=1, out_length=1, crop=(2, 3), test_fraction=0)
    assert dataset.frame_shape == (2, 3, 1)
    np.testing.assert_array_equal(dataset.splits["train"][0]["frames"][0, ..., 0], array[0, :2, :3])


def test_pad_repeats_the_edge_after_the_crop():
    array = np.arange(5 * 4 * 6, dtype=np.float32).reshape(5, 4, 6)
    options = {"in_length": 1, "out_length": 1, "test_fraction": 0}
    dataset = load(array, crop=(2, 3), pad=(4, 4), **options)
    assert dataset.frame_shape == (4, 4, 1)
    frame = dataset.splits["train"][1]["frames"][0, ..., 0]
    wanted = array[1][np.ix_([0, 1, 1, 1], [0, 1, 2, 2])]
    np.testing.assert_array_equal(frame, wanted)


@pytest.mark.parametrize("high", [1, 9, 200])
def test_uint8_that_is_not_0_to_255_is_noted(high):
    array = series(20) * 0
    array[5, 0, 0] = high
    array[19] = 255  # for testing, so it tells nothing
    note = load(array, in_length=1, out_length=1).note
    assert note.startswith(f"The largest value for training is {high}, but uint8") == (high < 32)
    assert "multiplied by 255" in note or not note


class Tensor:
    """Another library's array: NumPy cannot read its dtype."""

    dtype = "torch.float32"

    def __init__(self, values):
        self.values, self.shape = values, np.shape(values)

    def __array__(self, dtype=None, copy=None):
        if self.values is None:
            raise RuntimeError("Tensor that requires grad.")
        return self.values


def test_tensors_of_other_libraries_are_read_or_refused():
    dataset = load(Tensor(series(10)), in_length=1, out_length=1)
    np.testing.assert_array_equal(dataset.splits["train"][3]["frames"], series(10)[3:5])
    for array, message in (
        (Tensor(None), "array is a Tensor that NumPy cannot read: Tensor that requires grad"),
        ([[1, 2], [3]], "array is a list that NumPy cannot read: .*lists of equal length"),
        (object(), "array is a object that NumPy cannot read as numbers"),
        (series(10) > 3, r"array has dtype bool: .*array\.astype\('uint8'\) \* 255"),
    ):
        with pytest.raises(TypeError, match=message):
            load(array, in_length=1, out_length=1)


def nan_at(index):
    array = series(10, dtype=np.float32)
    array[index] = np.nan
    return array


@pytest.mark.parametrize(
    ("array", "options", "error", "message"),
    [
        (nan_at((9, 2, 1, 0)), {}, ValueError, r"NaN or infinite, the first at \(9, 2, 1, 0\)"),
        (series(10).astype(np.int32), {}, TypeError, "int32.*uint8"),
        (series(10).astype(bool), {}, TypeError, "bool"),
        (np.zeros((10, 3), np.uint8), {}, ValueError, r"shape \(10, 3\)"),
        (np.zeros((0, 3, 3, 1), np.uint8), {}, ValueError, "empty"),
        (series(10), {"in_length": 8}, ValueError, "train part has 8 .* fewer than one window"),
        (series(10), {"test_fraction": 0.1}, ValueError, "test part has 1"),
        (series(10), {"in_length": None}, ValueError, "give both"),
        (series(10), {"in_length": 0}, ValueError, "in_length=0"),
        (series(10), {"stride": 0}, ValueError, "stride=0"),
        (series(10), {"crop": (3, 5)}, ValueError, r"crop=\(3, 5\): .* the frames are 3 x 4"),
        (series(10), {"test_fraction": 1.5}, ValueError, "test_fraction=1.5"),
        (series(10), {"scaling": "zscore"}, ValueError, "uint8 values are divided by 255"),
        (series(10), {"axes": "HWT"}, ValueError, "axes='HWT'"),
        (series(10), {"axes": "THW"}, ValueError, "3 axes"),
        (series(10), {"crop": "ab"}, ValueError, "crop='ab'"),
        (series(10), {"pad": (3, 3)}, ValueError, r"pad=\(3, 3\): .*from \(3, 4\) to \(6, 8\)"),
        (series(10), {"stride": True}, ValueError, "stride=True"),
        (series(10), {"in_length": "3"}, ValueError, "in_length='3'"),
        (series(10), {"per_channel": "no"}, ValueError, "per_channel='no'"),
        (series(10), {"test_fraction": "x"}, ValueError, "test_fraction='x'"),
        (series(10), {"key": "x"}, ValueError, "key='x'"),
        (series(10), {"windw": 3}, ValueError, "no option 'windw'. It has: path, array"),
        (series(10), {"data_dir": "x"}, ValueError, "data_dir"),
        (series(10) * np.float32(0), {}, ValueError, "constant"),
        (series(10, dtype=np.float32), {"scaling": "log"}, ValueError, "scaling='log'"),
        (series(10, dtype=np.float32), {"scaling": ("a", 1)}, ValueError, "scaling=.*numbers"),
        (series(10, dtype=np.float32), {"scaling": (0, 0)}, ValueError, "greater than 0"),
        (series(10, dtype=np.float32), {"scaling": (0, [1, 2])}, ValueError, "one per channel"),
        (np.zeros((4, 6, 3, 3, 1), np.uint8), {"in_length": 6}, ValueError, "has 6 frames"),
        (np.zeros((4, 6, 3, 3, 1), np.uint8), {"stride": 2}, ValueError, "series only"),
    ],
)
def test_bad_input_names_the_field(array, options, error, message):
    with pytest.raises(error, match=message):
        load(array, **{"in_length": 1, "out_length": 1, **options})


def test_bad_paths_are_refused(tmp_path):
    options = {"in_length": 1, "out_length": 1}
    with pytest.raises(ValueError, match=r"path= .*array="):
        load(**options)
    with pytest.raises(FileNotFoundError, match=r"no\.npy"):
        load(path=tmp_path / "no.npy", **options)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"\.npy, \.npz, \.nc, \.nc4, \.h5, \.hdf5 or \.zarr"):
        load(path=tmp_path / "a.txt", **options)
    (tmp_path / "bad.npy").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"bad\.npy.*cannot be read"):
        load(path=tmp_path / "bad.npy", **options)
    np.save(tmp_path / "a.npy", series(10))
    with pytest.raises(ValueError, match="leave key out"):
        load(path=tmp_path / "a.npy", key="x", **options)
    for path, error in ((3, TypeError), ("a\0.npy", ValueError), ("~nobody-here/a.npy", OSError)):
        with pytest.raises(error, match=r"^path="):
            load(path=path, **options)
