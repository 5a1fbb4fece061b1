"""NetCDF, HDF5 and labelled Zarr as a user's own data: axes by name, times, gaps, levels, files."""

import gc

import h5py
import numpy as np
import pytest
import xarray as xr

import pdr_datasets

OPTIONS = {"in_length": 2, "out_length": 2}
PACKED = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 285.0, "_FillValue": -32768}
HOURS = np.datetime64("2020-01-01T00", "ns") + np.arange(24) * np.timedelta64(1, "h")


def field(times=HOURS, seed=0, dims=("time", "latitude", "longitude"), **extra):
    sizes = {"time": len(times), "latitude": 6, "longitude": 5, "level": 3, **extra}
    values = np.random.default_rng(seed).uniform(270, 300, [sizes.get(d, 1) for d in dims])
    attributes = {"units": "K", "long_name": "2 metre temperature"}
    coordinates = {
        "time": ("time", times, {"long_name": "time"}),
        "latitude": ("latitude", np.linspace(50, 45, 6), {"units": "degrees_north"}),
        "longitude": ("longitude", np.arange(5.0), {"units": "degrees_east"}),
        "level": ("level", [1000, 850, 500], {"units": "hPa"}),
    }
    coordinates = {name: value for name, value in coordinates.items() if name in dims}
    return xr.Dataset({"t2m": (dims, values.astype(np.float32), attributes)}, coordinates)


def write(dataset, path, **encoding):
    if path.suffix == ".zarr":
        dataset.to_zarr(path, consolidated=False, encoding=encoding)
    else:
        dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


def load(path, **options):
    return pdr_datasets.load("arrays", path=path, **{**OPTIONS, **options})


def starts(source):
    return [int(source[i]["id"]) for i in range(len(source))]


@pytest.mark.parametrize("name", ["a.nc", "a.nc4", "a.h5", "a.hdf5", "a.zarr", "classic.nc"])
@pytest.mark.parametrize("packing", [{}, PACKED], ids=["plain", "packed"])
def test_a_file_is_read_as_xarray_reads_it(tmp_path, name, packing):
    path = tmp_path / name
    if name == "classic.nc":
        field().to_netcdf(path, engine="scipy", encoding={"t2m": packing})
    else:
        write(field(), path, t2m=packing)
    engine = {"a.zarr": "zarr", "classic.nc": "scipy"}.get(name, "h5netcdf")
    options = {"consolidated": False} if engine == "zarr" else {}
    with xr.open_dataset(path, engine=engine, **options) as wanted:
        wanted = wanted["t2m"].values
    dataset = load(path, key="t2m")
    frames = dataset.splits["train"][3]["frames"]
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames[..., 0], wanted[3:7], rtol=1e-6)
    assert dataset.reading == (
        "read as one series of 24 frames of 6 x 5 x 1 from axes time, latitude, longitude: "
        "t2m (2 metre temperature, K), latitudes from 50 to 45, "
        "one every 1 h from 2020-01-01 to 2020-01-01T23"
    )
    assert dataset.note == ""
    assert dataset.scoring.units == "stored"
    assert dataset.scoring.latitudes == (50, 49, 48, 47, 46, 45)
    assert dataset.units.offset == pytest.approx(float(wanted[:19].min()), rel=1e-6)


def test_no_window_crosses_a_gap_or_the_boundary(tmp_path):
    kept = np.r_[0:7, 9:12, 13:24]  # 21 frames, of which the last 4 are for testing
    dataset = load(write(field(HOURS[kept]), tmp_path / "a.nc"))
    assert starts(dataset.splits["train"]) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert starts(dataset.splits["test"]) == [17]
    assert dataset.note == (
        "2 gaps in time, 3 steps are missing (after 2020-01-01T06, after 2020-01-01T11): no "
        "window crosses one."
    )
    strided = load(tmp_path / "a.nc", stride=3)
    assert starts(strided.splits["train"]) == [0, 3, 10, 13]
    with pytest.raises(ValueError, match=r"train part has 17 .*at most 7 without a gap, fewer"):
        load(tmp_path / "a.nc", in_length=6)


def test_a_folder_and_a_pattern_are_joined_in_the_order_of_time(tmp_path):
    whole = field()
    parts = {"b": slice(0, 10), "a": slice(10, 15), "c": slice(17, 24)}
    for number, (name, part) in enumerate(parts.items()):
        packing = {**PACKED, "add_offset": 280.0 + number}  # as files of ERA5 have their own
        write(whole.isel(time=part), tmp_path / f"{name}.nc", t2m=packing)
    (tmp_path / "notes.txt").write_text("of another kind")
    for path in (tmp_path, tmp_path / "*.nc", str(tmp_path / "[abc].nc")):
        dataset = load(path)
        np.testing.assert_allclose(
            dataset.splits["train"][8]["frames"][..., 0], whole.t2m[8:12], atol=0.006
        )
        assert "1 gap in time, 2 steps are missing (after 2020-01-01T14)" in dataset.note
    assert starts(dataset.splits["train"]) == list(range(12))


def one_file_a_scan(folder):
    for number, frame in enumerate(np.random.default_rng(0).random((12, 4, 5)).astype("f4")):
        time = np.datetime64("2021-06-01", "ns") + number * np.timedelta64(5, "m")
        scan = xr.Dataset({"rain": (("y", "x"), frame)}, {"time": time})
        write(scan, folder / f"scan{number:02}.nc")


def test_one_file_a_frame(tmp_path):
    one_file_a_scan(tmp_path)
    dataset = load(tmp_path, key="rain", test_fraction=0.4)
    assert dataset.frame_shape == (4, 5, 1)
    assert starts(dataset.splits["train"]) == list(range(4))
    assert "one every 5 min from 2021-06-01 to 2021-06-01T00:55" in dataset.reading
    assert dataset.scoring.latitudes == ()


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    write(field(HOURS[:12]), tmp_path / "a.nc")
    second = field(HOURS[12:])
    celsius = second.copy()
    celsius.t2m.attrs["units"] = "degC"
    for other, message in (
        (field(HOURS[10:]), r"b\.nc' begins at 2020-01-01T10, before .*a\.nc' ends, at .*T11"),
        (second.isel(latitude=slice(3)), r"has frames of shape \(3, 5\), and .* \(6, 5\)"),
        (second.assign_coords(longitude=np.arange(1, 6.0)), "lies on another grid"),
        (celsius, r"has unit degC, and .*a\.nc' K: expected the same"),
        (second.astype(np.float64), "has values of type float64, and .* float32"),
        (second.drop_vars("time"), r"b\.nc' has no times"),
        (second.rename(time="n").drop_vars("n"), "no axis is time"),
        (second.rename(t2m="t"), r"key='t2m': b\.nc holds t \(12, 6, 5\)"),
    ):
        (tmp_path / "b.nc").unlink(missing_ok=True)
        write(other, tmp_path / "b.nc")
        with pytest.raises(ValueError, match=message):
            load(tmp_path, key="t2m")


def test_levels_become_channels(tmp_path):
    data = field(dims=("time", "level", "latitude", "longitude"))
    path = write(data, tmp_path / "a.nc")
    dataset = load(path, levels=[500, 1000])
    assert dataset.frame_shape == (6, 5, 2)
    wanted = data.t2m.sel(level=[500, 1000]).transpose("time", "latitude", "longitude", "level")
    np.testing.assert_array_equal(dataset.splits["train"][0]["frames"], wanted[:4])
    assert load(path, levels=850).frame_shape == (6, 5, 1)
    there = r"has 3 levels \(level\): 1000, 850, 500 hPa"
    for levels in (None, 700, [850, 700], (), "all"):
        with pytest.raises(ValueError, match=rf"^levels=.*{there}"):
            load(path, levels=levels)
    with pytest.raises(ValueError, match="a level is there twice"):
        load(path, levels=(500, 500))
    write(data.isel(level=[1]), tmp_path / "one.nc")
    assert load(tmp_path / "one.nc").frame_shape == (6, 5, 1)
    assert load(tmp_path / "one.nc", levels=850).frame_shape == (6, 5, 1)
    write(field(), tmp_path / "none.nc")
    with pytest.raises(ValueError, match=r"levels=850: .*has no axis of levels"):
        load(tmp_path / "none.nc", levels=850)
    np.save(tmp_path / "a.npy", data.t2m[:, 0].values)
    with pytest.raises(ValueError, match=r"levels=850: a\.npy has no named axes"):
        load(tmp_path / "a.npy", levels=850)


def test_axes_are_told_by_name_or_attribute_in_any_order(tmp_path):
    data = field(dims=("longitude", "time", "latitude"))
    wanted = data.t2m.transpose("time", "latitude", "longitude").values
    names = {"time": "valid_time", "latitude": "Y", "longitude": "X"}
    renamed = data.rename(names).expand_dims(number=[0], axis=1)
    assert renamed.t2m.dims == ("X", "number", "valid_time", "Y")
    odd = data.rename(time="record", latitude="a", longitude="b")
    odd.a.attrs["standard_name"], odd.b.attrs["axis"] = "latitude", "X"
    for name, changed in (("renamed", renamed), ("odd", odd)):
        dataset = load(write(changed, tmp_path / f"{name}.nc"))
        np.testing.assert_array_equal(dataset.splits["train"][0]["frames"][..., 0], wanted[:4])
        assert dataset.scoring.latitudes[:2] == (50, 49)
    with pytest.raises(ValueError, match=r"axes='THW': the axes of .* have names; leave axes out"):
        load(tmp_path / "odd.nc", axes="THW")


def test_clips_and_channels_keep_their_meaning_though_their_axes_have_names(tmp_path):
    clips = np.random.default_rng(0).integers(0, 255, (10, 6, 4, 5, 3)).astype(np.uint8)
    for name, values, dims, reading in (
        ("clips", clips, "sample time y x c", "read as 10 clips of 6 x 4 x 5 x 3 from axes NTHWC"),
        (
            "rgb",
            clips[:, 0],
            "time y x c",
            "read as one series of 10 frames of 4 x 5 x 3 from axes",
        ),
    ):
        data = xr.Dataset({"v": (dims.split(), values)})
        for suffix in (".zarr", ".nc"):
            dataset = load(write(data, tmp_path / f"{name}{suffix}"), in_length=1, out_length=1)
            assert dataset.reading.startswith(reading)
            wanted = values[1, :2] if name == "clips" else values[1:3]
            np.testing.assert_array_equal(dataset.splits["train"][1]["frames"], wanted)


def test_axes_that_are_not_understood_are_listed(tmp_path):
    two = field(dims=("time", "level", "number", "latitude", "longitude"), number=2)
    with pytest.raises(ValueError, match="has the axes level and number beside time, latitude"):
        load(write(two, tmp_path / "two.nc"))
    three = (
        field(dims=("time", "level", "latitude", "longitude")).rename(longitude="p").drop_vars("p")
    )
    with pytest.raises(
        ValueError, match="has the axes time 24, level 3, latitude 6, p 5: expected"
    ):
        load(write(three, tmp_path / "three.nc"))


def test_crop_and_pad_keep_the_latitudes_of_their_rows(tmp_path):
    path = write(field(), tmp_path / "a.nc")
    assert load(path, crop=(3, 5), pad=(4, 8)).scoring.latitudes == (50, 49, 48, 48)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (HOURS[::-1], "times descend: 2020-01-01T22 follows 2020-01-01T23"),
        (HOURS[np.r_[:9, 8:23]], "the time 2020-01-01T08 is there twice"),
        (HOURS[np.r_[:9, 3, 9:23]], "are not in order: 2020-01-01T03 follows 2020-01-01T08"),
        (HOURS[0] + np.arange(1, 25) ** 2 * np.timedelta64(1, "m"), "times are not regular"),
    ],
)
def test_times_out_of_order_are_refused(tmp_path, times, message):
    with pytest.raises(ValueError, match=message):
        load(write(field(times), tmp_path / "a.nc"))


@pytest.mark.parametrize(
    ("units", "calendar", "told"),
    [
        ("days since 2001-01-01", "noleap", "one every 1 d from 58 d since 2001-01-01 (noleap) to"),
        ("hours since 1850-01-01", "360_day", "one every 1 h from 58 h since 1850-01-01 (360_day)"),
        ("minutes since 2001-01-01", None, "one every 1 min from 2001-01-01T00:58 to"),
        ("days since 1-1-1", "standard", None),  # before 1582, where calendars part
        ("months since 2001-01-01", "standard", None),
        ("days since 2001-01-01", "mayan", None),
        ("days", None, None),
        ("days since a while", None, None),
    ],
)
def test_calendars(tmp_path, units, calendar, told):
    data = field()
    data["time"] = ("time", np.arange(58, 82), {"units": units})
    if calendar is not None:
        data.time.attrs["calendar"] = calendar
    path = write(data, tmp_path / "a.nc")
    if told:
        assert told in load(path).reading
    else:
        with pytest.raises(ValueError, match=rf"a\.nc': 'time' has .*{units}"):
            load(path)


def test_months_are_a_step_and_rounded_times_are_regular(tmp_path):
    months = (np.datetime64("2001-01", "M") + np.arange(24)).astype("datetime64[ns]")
    dataset = load(write(field(months), tmp_path / "months.nc"))
    assert "one every 1 month from 2001-01-01 to 2002-12-01" in dataset.reading
    assert dataset.note == ""
    gap = load(write(field(np.delete(months, 5)[:22]), tmp_path / "gap.nc"))
    assert "1 gap in time, 1 step is missing (after 2001-05-01)" in gap.note
    data = field()
    days = (np.arange(24) / 24 + 20).astype(np.float32)  # to some 0.1 s
    data["time"] = ("time", days, {"units": "days since 2001-01-01"})
    dataset = load(write(data, tmp_path / "days.nc"))
    assert "one every 1 h" in dataset.reading
    assert dataset.note == ""


def test_a_series_without_times_is_taken_for_gapless_and_says_so(tmp_path):
    dataset = load(write(field().drop_vars("time"), tmp_path / "a.nc"))
    assert dataset.note == "'time' has no times: the series is taken for gapless."
    assert len(dataset.splits["train"]) == 16


def test_hdf5_without_names_is_an_array_like_any_other(tmp_path):
    clips = np.random.default_rng(0).integers(0, 255, (10, 6, 4, 5, 1)).astype(np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["deep/clips"] = clips
        file["labels"] = np.arange(10)
    for options in ({}, {"key": "deep/clips"}):
        dataset = load(tmp_path / "a.h5", **options)
        np.testing.assert_array_equal(dataset.splits["train"][3]["frames"], clips[3, :4])
        assert dataset.reading == "read as 10 clips of 6 x 4 x 5 x 1 from axes NTHWC"
    with pytest.raises(
        ValueError, match=r"key='x': a\.h5 holds labels \(10,\), deep/clips \(10, 6"
    ):
        load(tmp_path / "a.h5", key="x")
    with pytest.raises(ValueError, match=r"levels=1: .* has no axis of levels"):
        load(tmp_path / "a.h5", levels=1)


def test_missing_values_are_counted_and_located(tmp_path):
    data = field()
    data.t2m[7, 1, 2] = np.nan
    for packing in ({}, PACKED):
        path = write(data, tmp_path / "a.nc", t2m=packing)
        with pytest.raises(ValueError, match=r"a\.nc' holds 1 values .* at \(7, 1, 2, 0\)"):
            load(path)
        path.unlink()


def test_integers_that_are_not_packed_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"a\.nc' has dtype int16: expected uint8"):
        load(write(field().astype(np.int16), tmp_path / "a.nc"))


def test_several_variables_need_a_key(tmp_path):
    data = field()
    data["u10"] = data.t2m
    with pytest.raises(ValueError, match=r"holds t2m \(24, 6, 5\), u10 \(24, 6, 5\).*key="):
        load(write(data, tmp_path / "a.nc"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # SciPy's
def test_damaged_files_are_named_in_one_line(tmp_path):
    sound = write(field(), tmp_path / "a.nc").read_bytes()
    field().to_netcdf(tmp_path / "classic.nc", engine="scipy")
    classic = (tmp_path / "classic.nc").read_bytes()
    path = tmp_path / "bad.nc"
    for content in (b"", b"nonsense", sound[: len(sound) // 2], classic[:200], classic[:-400]):
        path.write_bytes(content)
        with pytest.raises(OSError, match=r"bad\.nc.* cannot be read") as caught:
            load(path)
        assert "\n" not in str(caught.value)
    for missing, message in (
        (tmp_path / "no.nc", r"no\.nc': no such file"),
        (tmp_path / "no*.nc", "no file matches this pattern"),
        (tmp_path / "empty", r"no \.nc, .*\.zarr in this folder"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError, match=message):
            load(missing)
    del caught  # with the frames that hold what SciPy left open
    gc.collect()
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"expected \.nc, .*; got .*a\.txt"):
        load(tmp_path / "a.*")


def test_damage_in_the_middle_is_named(tmp_path):
    path = write(field(), tmp_path / "a.nc", t2m={"zlib": True, "chunksizes": (1, 6, 5)})
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        chunk = file["t2m"].id.get_chunk_info(20)
    content[chunk.byte_offset : chunk.byte_offset + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"a\.nc'.*: entries 0 to 23 cannot be read: .*a\.nc'"):
        load(path)


def test_files_that_claim_more_than_they_hold_are_refused(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10**9, 64, 64), "f4", chunks=(1, 64, 64))
    with pytest.raises(ValueError, match=r"a\.nc': 'x' claims 15,258\.8 GiB and holds 0 bytes"):
        load(path)
    with h5py.File(path, "w") as file:
        time = file.create_dataset("time", (10**10,), "f8", chunks=(100,))
        time.make_scale("time")
    with pytest.raises(ValueError, match=r"a\.nc': 'time' claims 74\.5 GiB and holds 0 bytes"):
        load(path)


def test_chunks_that_were_never_written_are_noted_or_refused(tmp_path):
    path = tmp_path / "a.h5"
    for written in (15, 5):
        with h5py.File(path, "w") as file:
            stored = file.create_dataset("x", (20, 4, 5), "f4", chunks=(1, 4, 5), fillvalue=7)
            stored[:written] = np.random.default_rng(0).random((written, 4, 5))
        if written == 15:
            assert "5 of 20 chunks of" in load(path).note
            assert load(path).note.endswith("'x' are missing: read as its fill value, 7.0.")
        else:
            with pytest.raises(
                ValueError, match=r"a\.h5': 'x' holds 5 of the 20 chunks of \(20, 4"
            ):
                load(path)
