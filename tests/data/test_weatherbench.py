"""WeatherBench: both layouts of the files, OpenSTL's clips and units, broken files."""

import shutil

import numpy as np
import pytest
import xarray as xr

import pdr_datasets
from pdr_datasets.series import Windows
from pdr_datasets.weatherbench import protocol, weatherbench_dataset_builder
from pdr_datasets.weatherbench.fields import grid
from pdr_datasets.weatherbench.weatherbench_dataset_builder import Config

OPENSTL = {"protocol": "openstl"}
YEARS = "2010-2011,2012,2013"
LEVELS = [150, 500, 850, 1000]
LATITUDES, LONGITUDES = grid(5.625)


def times(year, hours=1):
    """A year has two days here."""
    return np.datetime64(f"{year}-01-01T00", "h") + np.arange(0, 48, hours)


@pytest.fixture(autouse=True)
def whole_years(monkeypatch):
    whole = protocol.calendar

    def calendar(first_year, last_year, hours):
        return np.concatenate([times(y, hours) for y in range(first_year, last_year + 1)])

    monkeypatch.setattr(protocol, "calendar", calendar)
    return whole


def values(key, year, steps, level=0):
    """Smooth in space, with noise, and another mean and spread every year."""
    rng = np.random.default_rng([year, level, *map(ord, key)])
    spread = 1 + (year - 2010)
    field = 280 + year - 2010 + LATITUDES[:, np.newaxis] / 10 + 0 * LONGITUDES
    return (field + spread * rng.normal(size=(steps, 32, 64))).astype(np.float32)


def make_year(key, year, when=None, levels=None):
    """A year as WeatherBench 1 has it."""
    when = times(year) if when is None else when
    axes = {"time": when.astype("datetime64[ns]"), "lat": LATITUDES, "lon": LONGITUDES}
    data = values(key, year, len(when))
    if levels is None:
        return xr.Dataset({key: (("time", "lat", "lon"), data)}, axes)
    data = np.stack([values(key, year, len(when), level) for level in levels], 1)
    axes["level"] = np.array(levels, np.int32)
    return xr.Dataset({key: (("time", "level", "lat", "lon"), data)}, axes)


def write(folder, dataset, name, year):
    folder.mkdir(parents=True, exist_ok=True)
    dataset.to_netcdf(
        folder / f"{name}_{year}_5.625deg.nc",
        engine="h5netcdf",
        encoding={"time": {"units": "hours since 1900-01-01", "dtype": "int64"}},
    )


def write_years(manual_dir, name, key, levels=None):
    """All years in one file (any division into files will do)."""
    years = [make_year(key, year, levels=levels) for year in range(2010, 2014)]
    write(manual_dir / name, xr.concat(years, "time"), name, "all")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """2 m temperature in a file a year, as it comes."""
    folder = tmp_path_factory.mktemp("weatherbench")
    for year in range(2010, 2014):
        write(folder / "2m_temperature", make_year("t2m", year), "2m_temperature", year)
    return folder


@pytest.fixture
def t2m(files, tmp_path):
    """A copy, to break."""
    return shutil.copytree(files, tmp_path / "in")


def load(data_dir, manual_dir, **options):
    options = {"years": YEARS, **options}
    pdr_datasets.prepare("weatherbench", data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load("weatherbench", data_dir=data_dir, **options)


def built(data_dir):
    """All files, of builds complete or half-made."""
    return [path for path in data_dir.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({**OPENSTL}, (52559, 8759, 17495)),
        ({**OPENSTL, "degrees": 1.40625}, (52559, 8759, 17495)),
        ({**OPENSTL, "in_length": 6, "out_length": 2}, (52583 - 8, 8783 - 8, 17519 - 8)),
        ({**OPENSTL, "step": 24}, (2191 - 24, 366 - 24, 730 - 24)),
        ({**OPENSTL, "variable": "mv", "in_length": 4, "out_length": 4}, (54019, 1427, 2883)),
        ({**OPENSTL, "variable": "mv", "in_length": 4, "out_length": 28}, (53875, 1283, 2739)),
        ({}, (52584 - 23, 8784 - 23, 17520 - 23)),
        ({"variable": "mv", "in_length": 4, "out_length": 4}, (54056 - 7, 1464 - 7, 2920 - 7)),
        ({"source": "wb2", "in_length": 4, "out_length": 4}, (58440 - 7, 1460 - 7, 1464 - 7)),
    ],
)
def test_sample_counts(whole_years, monkeypatch, options, counts):
    monkeypatch.setattr(protocol, "calendar", whole_years)
    config = Config(**options)
    found = []
    for part in config.kept_times().values():
        starts = protocol.clip_starts(len(part), config.offsets, config.protocol)
        found.append(len(Windows(range(len(part)), starts, config.offsets)))
    assert tuple(found) == counts


def test_openstls_indices():
    """Its idx_in and idx_out, and its range of positions of the last input."""
    for length_out in (4, 28):
        given, wanted = [-17, -11, -5, 0], [1 + 6 * i for i in range(length_out)]
        offsets = protocol.clip_offsets(4, length_out, gaps=True)
        assert (offsets - 17).tolist() == given + wanted
        starts = protocol.clip_starts(300, offsets, "openstl")
        assert [start + 17 for start in starts] == list(range(17, 300 - wanted[-1] - 1))
    assert protocol.clip_offsets(2, 3, gaps=False).tolist() == [0, 1, 2, 3, 4]


def test_openstls_protocol(t2m, tmp_path, monkeypatch):
    block = 5 * 4 * 32 * 64  # five steps are read at a time
    monkeypatch.setattr(weatherbench_dataset_builder, "_READ_BYTES", block)
    dataset = load(tmp_path, t2m, in_length=3, out_length=2, protocol="openstl")
    hours = {
        "train": np.concatenate([values("t2m", year, 48) for year in (2010, 2011)])[:-1],
        "val": values("t2m", 2012, 48)[:-1],
        "test": values("t2m", 2013, 48)[:-1],
    }
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 95 - 5,
        "val": 47 - 5,
        "test": 47 - 5,
    }
    assert dataset.frame_shape == (32, 64, 1)
    assert dataset.units.offset == pytest.approx(hours["train"].mean(dtype=np.float64), rel=1e-9)
    assert dataset.units.scale == pytest.approx(hours["train"].std(dtype=np.float64), rel=1e-7)
    for name, source in dataset.splits.items():
        # Fed to the model: every part by its own statistics.
        expected = (hours[name] - hours[name].mean()) / hours[name].std()
        for index in (0, 7, len(source) - 1):
            sample = source[index]
            assert sample["frames"].dtype == np.float32
            assert sample["id"] == index
            np.testing.assert_allclose(
                dataset.units.normalise(sample["frames"])[..., 0],
                expected[index : index + 5],
                atol=1e-4,
            )
    np.testing.assert_array_equal(dataset.splits["train"][3]["frames"][..., 0], hours["train"][3:8])
    low, high = dataset.data_range
    assert dataset.units.normalise(hours["train"]).min() == pytest.approx(low, abs=1e-4)
    assert dataset.units.normalise(hours["train"]).max() == pytest.approx(high, abs=1e-4)
    scoring = dataset.scoring
    assert (scoring.units, scoring.spatial_norm, scoring.groups) == ("stored", True, ())
    np.testing.assert_array_equal(scoring.latitudes, LATITUDES)
    assert scoring.latitudes[0] == -87.1875  # the first row is the southernmost
    np.testing.assert_allclose(
        scoring.climatology[..., 0], hours["train"].mean(0, dtype=np.float64), rtol=1e-6
    )
    assert "z-scored by their own" in dataset.note
    assert "2010-2015" in dataset.note


def test_standard_protocol_keeps_values_and_steps(t2m, tmp_path):
    dataset = load(tmp_path, t2m, in_length=2, out_length=2, step=6)
    assert dataset.config == "wb1_t2m_5.625deg_2to2_6h_standard_2010-2011_2012_2013"
    test = dataset.splits["test"]
    assert len(test) == 8 - 3
    np.testing.assert_array_equal(test[2]["frames"][..., 0], values("t2m", 2013, 48)[::6][2:6])
    again = pdr_datasets.load("weatherbench", data_dir=tmp_path, config=dataset.config)
    assert again.note == dataset.note
    shorter = pdr_datasets.load(
        "weatherbench", data_dir=tmp_path, config=dataset.config, out_length=1
    )
    np.testing.assert_array_equal(shorter.splits["test"][0]["frames"], test[0]["frames"][:3])


def test_wind_has_two_channels(tmp_path):
    for key in ("u10", "v10"):
        write_years(tmp_path / "in", f"10m_{key[0]}_component_of_wind", key)
    dataset = load(tmp_path, tmp_path / "in", variable="uv10", in_length=1, out_length=1)
    frames = dataset.splits["train"][50]["frames"]
    assert frames.shape == (2, 32, 64, 2)
    for channel, key in enumerate(("u10", "v10")):
        np.testing.assert_array_equal(frames[..., channel], values(key, 2011, 48)[2:4])
    assert len(dataset.units.offset) == len(dataset.units.scale) == 2
    assert dataset.scoring.climatology.shape == (32, 64, 2)


def test_humidity_is_that_of_the_last_level(tmp_path):
    write_years(tmp_path / "in", "relative_humidity", "r", LEVELS)
    dataset = load(tmp_path, tmp_path / "in", variable="r", in_length=1, out_length=1)
    np.testing.assert_array_equal(
        dataset.splits["train"][0]["frames"][..., 0], values("r", 2010, 48, 1000)[:2]
    )


def test_many_variables(tmp_path):
    names = ("relative_humidity", "temperature", "u_component_of_wind", "v_component_of_wind")
    for name, key in zip(names, "rtuv", strict=True):
        write_years(tmp_path / "in", name, key, LEVELS)
    options = {"variable": "mv", "in_length": 2, "out_length": 1, **OPENSTL}
    dataset = load(tmp_path, tmp_path / "in", **options)
    assert "mv_5.625deg_2to1_6h" in dataset.config
    assert dataset.scoring.groups == ("r", "t", "u", "v")
    frames = dataset.splits["train"][1]["frames"]
    assert frames.shape == (3, 32, 64, 12)
    for channel, (key, level) in enumerate((k, lev) for k in "rtuv" for lev in (150, 500, 850)):
        series = np.concatenate([values(key, year, 48, level)[::6] for year in (2010, 2011)])
        np.testing.assert_array_equal(frames[..., channel], series[[1, 6, 7]])
    assert len(dataset.splits["train"]) == 16 - 7


def write_store(path, key="2m_temperature"):
    """WeatherBench 2's layout: longitude before latitude, 6-hourly."""
    when = np.concatenate([times(year, 6) for year in range(2010, 2014)])
    frames = np.concatenate([values(key, y, 8) for y in range(2010, 2014)])
    data = {key: (("time", "longitude", "latitude"), frames.swapaxes(1, 2))}
    axes = {
        "time": when.astype("datetime64[ns]"),
        "latitude": LATITUDES,
        "longitude": LONGITUDES,
    }
    xr.Dataset(data, axes).to_zarr(path, zarr_format=2, consolidated=True)


WB2 = {"source": "wb2", "in_length": 2, "out_length": 2}


@pytest.mark.parametrize("place", ["folder", "store", "url"])
def test_weatherbench_2(tmp_path, place):
    store = tmp_path / "in/era5.zarr"
    write_store(store)
    where = {"folder": store.parent, "store": store, "url": "memory://era5.zarr"}[place]
    if place == "url":
        import fsspec

        fsspec.filesystem("memory").put(str(store), "/era5.zarr", recursive=True)
    dataset = load(tmp_path, where, **WB2)
    assert dataset.config == "wb2_t2m_5.625deg_2to2_6h_standard_2010-2011_2012_2013"
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 16 - 3,
        "val": 8 - 3,
        "test": 8 - 3,
    }
    np.testing.assert_array_equal(
        dataset.splits["test"][1]["frames"][..., 0], values("2m_temperature", 2013, 8)[1:5]
    )
    assert dataset.scoring.latitudes[0] < 0


def test_a_store_that_lacks_a_chunk_is_refused(tmp_path):
    """Zarr fills in for chunks that are not there."""
    write_store(tmp_path / "era5.zarr")
    chunks = [p for p in (tmp_path / "era5.zarr/2m_temperature").iterdir() if p.name[0] != "."]
    sorted(chunks)[-1].unlink()
    with pytest.raises(ValueError, match="2m_temperature holds NaN or infinite values"):
        load(tmp_path / "out", tmp_path, **WB2)
    assert built(tmp_path / "out") == []


def test_rows_are_turned_to_start_in_the_south(t2m, tmp_path):
    north = make_year("t2m", 2013).isel(lat=slice(None, None, -1))
    write(t2m / "2m_temperature", north, "2m_temperature", 2013)
    dataset = load(tmp_path, t2m, in_length=1, out_length=1)
    np.testing.assert_array_equal(
        dataset.splits["test"][0]["frames"][..., 0], values("t2m", 2013, 48)[:2]
    )


def break_file(folder, how):
    """Damages a copy, and says what the message must name."""
    path = folder / "2m_temperature_2011_5.625deg.nc"
    year = make_year("t2m", 2011)
    if how == "missing year":
        path.unlink()
        return r"no data of 2011. There are 2010, 2012, 2013; needed are 2010 to 2011"
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:30_000])
        return r"2m_temperature_2011_5\.625deg\.nc cannot be read"
    if how == "corrupt":
        path.unlink()
        year.to_netcdf(path, engine="h5netcdf", encoding={"t2m": {"zlib": True}})
        content = bytearray(path.read_bytes())
        half = len(content) // 2
        content[half : half + 5000] = bytes(5000)
        path.write_bytes(content)
        return r"2m_temperature_2011_5\.625deg\.nc cannot be read"
    if how == "not NetCDF":
        path.write_bytes(b"<html>404</html>")
        return r"2m_temperature_2011_5\.625deg\.nc cannot be read"
    if how == "NaN":
        year["t2m"][5, 2, 3] = np.nan
        message = r"2m_temperature holds NaN.*2011-01-01T05, row 2, column 3"
    if how == "Celsius":
        path = folder / "2m_temperature_2010_5.625deg.nc"
        year = make_year("t2m", 2010) - 273.15
        make_year("t2m", 2011).map(lambda kelvin: kelvin - 273.15).to_netcdf(
            folder / "2m_temperature_2011_5.625deg.nc", engine="h5netcdf"
        )
        message = r"2m_temperature: the train part has the mean .*: expected values in K"
    if how == "gap":
        year = year.isel(time=np.r_[0:7, 9:48])
        message = r"2 of 96 time steps are missing, the first is 2011-01-01T07"
    if how == "three-hourly":
        year = year.isel(time=slice(0, None, 3))
        message = r"32 of 96 time steps are missing, the first is 2011-01-01T01.*every 1 h"
    if how == "half an hour late":
        year = year.assign_coords(time=year["time"] + np.timedelta64(30, "m"))
        message = r"2011_5\.625deg\.nc: 2011-01-01T00:30.* is not a whole hour"
    if how == "duplicated":
        year = xr.concat([year, year.isel(time=slice(40, 41))], "time").sortby("time")
        message = r"2011-01-02T16 is there twice, in .*2011_5\.625deg\.nc\."
    if how == "duplicated file":
        path = folder / "copy.nc"
        message = r"2011-01-01T00 is there twice, in .*(copy|2011).* and .*(copy|2011)"
    if how == "unordered":
        year = year.isel(time=slice(None, None, -1))
        message = r"times are not in order"
    if how == "grid":
        year = year.isel(lon=slice(None, None, 2))
        message = r"32 values of lon \(a grid of 32 x 32\): expected 64.*degrees=5\.625"
    if how == "other latitudes":
        year = year.assign_coords(lat=np.linspace(-90, 90, 32))
        message = r"lat goes from -90 to 90: expected -87\.1875"
    if how == "variable":
        year = year.rename(t2m="t850")
        message = r"2011_5\.625deg\.nc has no variable 't2m'. It holds t850"
    if how == "levels":
        year = make_year("t2m", 2011, levels=[500])
        message = r"has levels: expected a field without"
    path.unlink(missing_ok=True)
    year.to_netcdf(path, engine="h5netcdf")
    return message


@pytest.mark.parametrize(
    "how",
    [
        "missing year",
        "truncated",
        "corrupt",
        "not NetCDF",
        "NaN",
        "Celsius",
        "gap",
        "three-hourly",
        "half an hour late",
        "duplicated",
        "duplicated file",
        "unordered",
        "grid",
        "other latitudes",
        "variable",
        "levels",
    ],
)
def test_broken_files_are_refused_and_nothing_is_left(t2m, tmp_path, how):
    message = break_file(t2m / "2m_temperature", how)
    with pytest.raises((ValueError, OSError), match=message):
        load(tmp_path / "out", t2m, in_length=2, out_length=2)
    assert built(tmp_path / "out") == []


def test_missing_files_are_named(t2m, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no sub-folder total_cloud_cover.*2m_temperature"):
        load(tmp_path / "out", t2m, variable="tcc", in_length=1, out_length=1)
    (t2m / "total_cloud_cover").mkdir()
    with pytest.raises(FileNotFoundError, match=r"total_cloud_cover holds no \.nc files"):
        load(tmp_path / "out", t2m, variable="tcc", in_length=1, out_length=1)
    with pytest.raises(FileNotFoundError, match=r"expected one \.zarr folder in it.* none"):
        load(tmp_path / "out", t2m, **WB2)
    write_store(tmp_path / "store/era5.zarr")
    with pytest.raises(ValueError, match=r"no variable 'total_cloud_cover'.*holds 2m_temperature"):
        load(tmp_path / "out", tmp_path / "store", variable="tcc", **WB2)
    with pytest.raises(ValueError, match=r"memory://here: .* read from a folder"):
        load(tmp_path / "out", "memory://here", in_length=1, out_length=1)
    with pytest.raises(FileNotFoundError, match="manual_dir is not given"):
        pdr_datasets.prepare("weatherbench", data_dir=tmp_path / "out")
    with pytest.raises(OSError, match=r"memory://nowhere\.zarr cannot be read"):
        load(tmp_path / "out", "memory://nowhere.zarr", **WB2)
    assert built(tmp_path / "out") == []


@pytest.mark.parametrize("levels", [None, [500, 850]])
def test_missing_levels_are_named(tmp_path, levels):
    write_years(tmp_path / "in", "relative_humidity", "r", levels)
    message = r"\[150\] are missing" if levels else r"'r' has no levels: expected \(150, 500, 850\)"
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "out", tmp_path / "in", variable="mv", in_length=1, out_length=1)


def test_names_and_options():
    for config in (
        Config(),
        Config(variable="mv", out_length=28),
        Config(degrees=1.40625, years="1979-2015,2016,2017"),
        Config(source="wb2", step=24),
    ):
        assert Config.parse(config.name).name == config.name
        assert Config.parse(config.name).years == config.years
    assert Config().name == "wb1_t2m_5.625deg_12to12_1h_standard"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "era5"}, "source='era5': expected one of wb1, wb2"),
        ({"variable": "z500"}, "variable='z500': expected one of t2m, r, uv10, tcc, mv"),
        ({"degrees": 0.25}, "degrees=0.25: expected one of 5.625, 2.8125, 1.40625"),
        ({"protocol": "mine"}, "protocol='mine': expected one of standard, openstl"),
        (
            {"source": "wb2", **OPENSTL},
            "protocol='openstl': with source='wb2' expected one of standard",
        ),
        ({"source": "wb2", "step": 1}, "step=1: expected a multiple of 6"),
        ({"step": -1}, "step=-1"),
        ({"years": "2010-2015"}, "years='2010-2015': expected the years of training"),
        ({"years": "2010-2015,2015,2016"}, "one after another"),
        ({"config": "t2m"}, "config='t2m': expected a name such as"),
        (
            {"size": 4},
            "weatherbench has no option 'size'. It has: in_length, out_length, source, variable",
        ),
    ],
)
def test_bad_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pdr_datasets.load("weatherbench", data_dir=tmp_path, **options)


def test_parts_too_short_for_a_clip_are_refused(t2m, tmp_path):
    with pytest.raises(
        ValueError, match="the train part has 4 time steps, too few for clips of 24"
    ):
        load(tmp_path / "out", t2m, step=24)
