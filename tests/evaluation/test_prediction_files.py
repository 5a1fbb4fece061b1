"""Prediction from NetCDF, videos and folders of frames, and what is written of the same kind."""

import dataclasses

import av
import h5py
import numpy as np
import pytest
import xarray as xr
from PIL import Image
from small_runs import moving_blobs

import pdr_datasets
from pdr_datasets import Units
from pdr_jax.evaluation.kinds import kind_of, outputs, prepare_outputs
from pdr_jax.evaluation.named_series import read_series, write_series
from pdr_jax.evaluation.prediction import predict_array
from pdr_jax.evaluation.video_files import read_video, write_video
from pdr_jax.task import open_task

BLOBS = moving_blobs(1, 6)[0]
FUTURE = moving_blobs(1, 3, seed=1)[0]


@pytest.fixture(scope="module")
def task(small_recipe, small_dataset):
    """Of a run on grey frames of 8 x 8, 2 -> 2."""
    return open_task(small_recipe, small_dataset)


@pytest.fixture(scope="module")
def kelvin(task):
    """The same, as if its frames were temperatures."""
    units = Units(270.0, 30.0)
    dataset = dataclasses.replace(task.dataset, units=units)
    return task._replace(dataset=dataset, clip=dataclasses.replace(task.clip, units=units))


def dressed(task, size, channels):
    """The task, as if its frames had that size."""
    shape = (size, size, channels)
    return task._replace(dataset=dataclasses.replace(task.dataset, frame_shape=shape))


def field(hours=range(10), rows=8):
    values = np.random.default_rng(0).uniform(270, 300, (rows, 1, len(hours), 8))
    attributes = {"units": "K", "long_name": "temperature", "grid_mapping": "crs"}
    coordinates = {
        "valid_time": ("valid_time", list(hours), {"units": "hours since 2020-02-28"}),
        "lat": ("lat", np.arange(50.0, 50 - rows, -1), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(8.0), {"units": "degrees_east"}),
        "area": (("lat", "lon"), np.ones((rows, 8))),
        "number": ("number", [7]),
    }
    dims = ("lat", "number", "valid_time", "lon")
    crs = ((), 0, {"grid_mapping_name": "latitude_longitude"})
    return xr.Dataset({"t": (dims, values, attributes), "crs": crs}, coordinates)


PACKED = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 285.0, "_FillValue": -32768}


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_series_goes_on_with_its_times_names_and_units(kelvin, tmp_path, suffix):
    source, target = tmp_path / f"a{suffix}", tmp_path / "b.nc"
    write = {".nc": "to_netcdf", ".zarr": "to_zarr"}[suffix]
    options = {"engine": "h5netcdf"} if suffix == ".nc" else {"consolidated": False}
    getattr(field(), write)(source, encoding={"t": PACKED}, **options)
    series = read_series(source, kelvin, {"key": "t", "crop": ""})
    engine = {".nc": "h5netcdf", ".zarr": "zarr"}[suffix]
    with xr.open_dataset(source, **options | {"engine": engine}) as stored:
        observed = stored.t.transpose("valid_time", "lat", "lon", "number").values[-2:]
    np.testing.assert_allclose(series.frames, observed, rtol=1e-6)
    assert "t (temperature, K), latitudes from 50 to 43, one every 1 h from" in series.notes[0]
    future = np.random.default_rng(1).uniform(270, 300, (3, 8, 8, 1)).astype(np.float32)
    write_series(series, target, future)
    with xr.open_dataset(target, engine="h5netcdf", decode_coords="all") as written:
        assert written.t.dims == ("lat", "valid_time", "lon")
        np.testing.assert_array_equal(written.t.transpose("valid_time", ...), future[..., 0])
        assert written.t.dtype == np.float32
        assert (written.t.attrs["units"], written.t.attrs["long_name"]) == ("K", "temperature")
        hours = np.datetime64("2020-02-28T10") + np.arange(3) * np.timedelta64(1, "h")
        np.testing.assert_array_equal(written.valid_time, hours)
        assert written.lat.attrs == {"units": "degrees_north"}
        np.testing.assert_array_equal(written.lat, np.arange(50, 42, -1))
        assert written.area.dims == ("lat", "lon")
        assert int(written.number) == 7
        if suffix == ".nc":
            assert written.crs.attrs["grid_mapping_name"] == "latitude_longitude"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, "b.nc"])


@pytest.mark.parametrize(("dim", "member"), [("number", "member"), ("member", "member_")])
def test_samples_of_a_series_are_its_members(kelvin, tmp_path, dim, member):
    field().rename(number=dim).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    series = read_series(tmp_path / "a.nc", kelvin, {"key": "t"})
    future = np.random.default_rng(1).uniform(270, 300, (2, 3, 8, 8, 1)).astype(np.float32)
    write_series(series, tmp_path / "b.nc", future)
    with xr.open_dataset(tmp_path / "b.nc", engine="h5netcdf") as written:
        assert written.t.dims == (member, "lat", "valid_time", "lon")
        np.testing.assert_array_equal(
            written.t.transpose(member, "valid_time", ...), future[..., 0]
        )
        assert written[member].values.tolist() == [0, 1]
        assert written[member].attrs["standard_name"] == "realization"
        assert written.valid_time.size == 3
        assert written[dim].item() == 7


def test_only_the_frames_that_are_needed_are_read(kelvin, tmp_path):
    path = tmp_path / "a.nc"
    encoding = {"t": {"zlib": True, "chunksizes": (8, 1, 1, 8)}}
    field().to_netcdf(path, engine="h5netcdf", encoding=encoding)
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        found = file["t"].id.get_chunk_info_by_coord((0, 0, 0, 0))
    content[found.byte_offset : found.byte_offset + found.size] = bytes(found.size)
    path.write_bytes(content)
    assert read_series(path, kelvin, {"key": "t"}).frames.shape == (2, 8, 8, 1)
    with pytest.raises(OSError, match=r"a\.nc.* entries 0 to 9 cannot be read"):
        pdr_datasets.load("arrays", path=path, key="t", in_length=2, out_length=2, test_fraction=0)


def test_crop_and_pad_are_undone(kelvin, tmp_path):
    field(rows=9).to_netcdf(tmp_path / "large.nc", engine="h5netcdf")
    field(rows=7).to_netcdf(tmp_path / "small.nc", engine="h5netcdf")
    for name, rows, options in (("large", 8, {"crop": [8, 8]}), ("small", 7, {"pad": (8, 8)})):
        series = read_series(tmp_path / f"{name}.nc", kelvin, {"key": "", **options})
        assert series.frames.shape == (2, 8, 8, 1)
        write_series(series, tmp_path / "b.nc", np.zeros((1, 8, 8, 1), np.float32))
        with xr.open_dataset(tmp_path / "b.nc", engine="h5netcdf") as written:
            np.testing.assert_array_equal(written.lat, np.arange(50, 50 - rows, -1))


def test_months_and_levels_go_on(kelvin, tmp_path):
    firsts = np.arange("2019-02", "2020-02", dtype="M8[M]").astype("M8[D]")
    months = (firsts - np.timedelta64(1, "D")).astype("M8[ns]")
    values = np.random.default_rng(0).random((12, 3, 8, 8)).astype(np.float32)
    data = xr.Dataset(
        {"t": (("time", "level", "y", "x"), values)}, {"time": months, "level": [1000, 850, 500]}
    )
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    series = read_series(tmp_path / "a.nc", kelvin, {"levels": [500, 850]})
    np.testing.assert_array_equal(series.frames, np.moveaxis(values[-2:, [2, 1]], 1, -1))
    write_series(series, tmp_path / "b.nc", np.moveaxis(values[:2, [2, 1]], 1, -1))
    with xr.open_dataset(tmp_path / "b.nc", engine="h5netcdf") as written:
        np.testing.assert_array_equal(written.t.values, values[:2, [2, 1]])
        assert written.level.values.tolist() == [500, 850]
        ends = [str(day) for day in written.time.values.astype("M8[D]")]
    assert ends == ["2020-01-31", "2020-02-29"]


def test_series_that_a_run_cannot_go_on_from_are_refused(kelvin, tmp_path):
    path = tmp_path / "a.nc"
    field([0, 1, 2, 3, 4, 9]).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"1 frame follows the last gap in time; 2 .*after"):
        read_series(path, kelvin, {})
    field([0, 1]).to_netcdf(path, engine="h5netcdf")
    longer = kelvin._replace(clip=dataclasses.replace(kelvin.clip, in_length=4))
    with pytest.raises(ValueError, match=r"a\.nc has 2 frames; 4 are needed$"):
        read_series(path, longer, {})
    field().rename(valid_time="n").drop_vars("n").to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"a\.nc: no axis is time"):
        read_series(path, kelvin, {"key": "t"})
    field().to_netcdf(path, engine="h5netcdf")
    weather = kelvin._replace(dataset=dataclasses.replace(kelvin.dataset, name="weatherbench"))
    with pytest.raises(ValueError, match="rows go from north to south"):
        read_series(path, weather, {})


def video(path, frames, rate=25):
    """Writes frames (T, H, W, 3) as they are: without loss, if slowly to be read."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1" if path.suffix == ".avi" else "libx264", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0" if path.suffix == ".avi" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_the_last_frames_of_a_video_in_the_runs_size_and_channels(task, tmp_path):
    large = np.repeat(np.repeat(BLOBS, 4, 1), 4, 2)  # 32 x 32
    found = read_video(video(tmp_path / "a.avi", np.repeat(large, 3, -1), 12), task)
    assert (found.rate, found.length, found.frames.shape) == (12, 6, (2, 8, 8, 1))
    assert np.abs(found.frames.astype(int) - BLOBS[-2:]).mean() < 8
    assert found.notes == [
        f"{tmp_path / 'a.avi'}: 6 frames of 32 x 32, 12 a second",
        "frames are resized to 8 x 8 by Pillow's bilinear filter",
    ]
    found = read_video(tmp_path / "a.avi", task, every=3)
    assert (found.rate, found.length) == (4, 2)
    assert np.abs(found.frames.astype(int) - BLOBS[[2, 5]]).mean() < 8
    with pytest.raises(ValueError, match=r"has 6 frames; expected 7 or more, of which .* takes 2"):
        read_video(tmp_path / "a.avi", task, every=6)


@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 32), (3, 31)])
def test_predicted_frames_are_written_in_the_rate_of_the_source(task, tmp_path, channels, size):
    found = read_video(video(tmp_path / "a.avi", np.repeat(BLOBS, 3, -1), 20), task)
    future = np.zeros((3, size, size, channels), np.uint8)
    future += np.linspace(0, 255, size).astype(np.uint8)[:, None, None]
    future[:, 4:9, 4:9] = np.array([0, 90, 200], np.uint8).reshape(3, 1, 1, 1)
    colour = np.broadcast_to(future, (*future.shape[:3], 3))
    for name, closeness in (("b.mp4", 12), ("b.gif", 6)):
        write_video(found, tmp_path / name, future)
        again = read_video(tmp_path / name, dressed(task, size, channels))
        assert again.rate == 20
        assert again.length == 3
        assert np.abs(again.frames.astype(int) - future[-2:]).mean() < closeness
    write_video(found._replace(rate=30.0), tmp_path / "c.gif", future)
    with Image.open(tmp_path / "c.gif") as image:
        shown = [image.seek(frame) or image.info["duration"] for frame in range(3)]
    assert shown == [30, 40, 30]
    write_video(found, tmp_path / "frames", future)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["000006.png", "000007.png", "000008.png"]
    with Image.open(tmp_path / "frames/000008.png") as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), colour[2])
    assert not list(tmp_path.glob(".partial*"))


def test_a_folder_of_frames_has_no_rate(task, finished, tmp_path):
    folder = tmp_path / "seen"
    folder.mkdir()
    for number, frame in enumerate(BLOBS):
        Image.fromarray(frame[..., 0]).save(folder / f"{number}.png")
    found = read_video(folder, task)
    np.testing.assert_array_equal(found.frames, BLOBS[-2:])
    assert found.rate == 10
    assert found.notes == [f"{folder}: 6 frames of 8 x 8, no rate is told, so 10 a second"]
    future = predict_array(finished[1], finished[2].variables(), found.frames, batch_size=2)
    assert (future.shape, future.dtype) == ((2, 8, 8, 1), np.uint8)


def test_samples_of_a_video_have_names_of_their_own(tmp_path):
    names = [path.name for path in outputs(tmp_path / "b.mp4", 2)]
    assert names == ["b-0.mp4", "b-1.mp4"]
    assert outputs(tmp_path / "b", 1) == [tmp_path / "b-0"]
    for target, samples in (("b.npy", 2), ("b.nc", 2), ("b.mp4", None)):
        assert outputs(tmp_path / target, samples) == [tmp_path / target]


def test_videos_that_do_not_fit_or_are_damaged_are_refused(task, kelvin, tmp_path):
    path = video(tmp_path / "a.mp4", np.zeros((6, 32, 32, 3), np.uint8))
    for other in (kelvin, dressed(task, 8, 2)):
        with pytest.raises(ValueError, match=r"a\.mp4: this run predicts fields, not videos"):
            read_video(path, other)
    assert read_video(path, task).notes[-1].startswith("the largest value is 0 of 255: 16-bit")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(OSError, match=r"a\.mp4 is not a video that can be opened"):
        read_video(path, task)


def test_outputs_are_of_the_kind_of_their_source(tmp_path):
    for folder in ("frames", "fields", "a.zarr"):
        (tmp_path / folder).mkdir()
    for name in ("frames/1.png", "a.npy", "a.mp4", "a.GIF", "a.nc"):
        (tmp_path / name).write_bytes(b"")
    kinds = {"a.npy": "array", "frames": "video", "a.mp4": "video", "a.GIF": "video"}
    kinds |= {"fields": "series", "a.nc": "series", "a.zarr": "series", "b*.nc": "series"}
    for name, kind in kinds.items():
        assert kind_of(tmp_path / name) == kind
    for source, target in (("a.nc", "b.mp4"), ("a.mp4", "b.nc"), ("a.npy", "b.nc"), ("a.npy", "b")):
        with pytest.raises(ValueError, match=rf"target='.*{target}': expected a name that ends in"):
            prepare_outputs(tmp_path / source, tmp_path / target)
    with pytest.raises(FileExistsError, match="frames' is there already: expected a new folder"):
        prepare_outputs(tmp_path / "a.mp4", tmp_path / "frames")
    with pytest.raises(FileNotFoundError, match=r"source='.*no\.nc': no such file or folder"):
        prepare_outputs(tmp_path / "no.nc", tmp_path / "new/b.nc")
    assert not (tmp_path / "new").exists()
    for name in ("clips/a.avi", "clips/b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"source='.*clips' is a folder of 2 videos: give one"):
        prepare_outputs(tmp_path / "clips", tmp_path / "b.mp4")
    (tmp_path / "a.mp4").rename(tmp_path / "a-1.mp4")
    prepare_outputs(tmp_path / "a-1.mp4", tmp_path / "a.mp4", samples=1)
    with pytest.raises(ValueError, match=r"target='.*a-1\.mp4' would replace the frames"):
        prepare_outputs(tmp_path / "a-1.mp4", tmp_path / "a.mp4", samples=2)
    (tmp_path / "frames").rename(tmp_path / "next-1")
    with pytest.raises(FileExistsError, match="next-1' is there already: expected a new folder"):
        prepare_outputs(tmp_path / "a-1.mp4", tmp_path / "next", samples=2)
    prepare_outputs(tmp_path / "a-1.mp4", tmp_path / "new/folder")
    assert [path.name for path in (tmp_path / "new").iterdir()] == []
