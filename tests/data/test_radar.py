"""Radar maps in the formats of weather services: times, values, what is missing, refusals."""

import gzip
import json

import h5py
import numpy as np
import pytest
import xarray
from PIL import Image

import pdr_datasets
from pdr_datasets.radar.config import Config
from pdr_datasets.radar.events import find_events, split_events
from pdr_datasets.radar.find import find_maps
from pdr_datasets.radar.rain import Scale, average

DBZ = np.array([[10.0, 20.0, 31.5], [-32.0, 0.0, np.nan]])
DRY = np.where(DBZ == -32, -np.inf, DBZ)
PIXELS = np.where(np.isnan(DBZ), 255, 2 * DBZ + 64).astype(np.uint8)
FMI = "P5\n# obstime 201609281445\n# param CorrectedReflectivity\n# type stereographic\n3 2\n255\n"


def write_odim(path, quantity="DBZH", time="144500", kind="COMP", minutes=15, data=PIXELS, **what):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_group("what").attrs.update(object=kind, date="20160928", time=time)
        dataset = file.create_group("dataset1/what").attrs
        dataset.update(startdate=b"20160928", starttime=b"140000")
        dataset.update(enddate=b"20160928", endtime=f"14{minutes}00".encode())
        file["dataset1/data1/data"] = data
        coded = {"gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}
        file.create_group("dataset1/data1/what").attrs.update(quantity=quantity, **coded | what)
        file["dataset1/data2/data"] = data
        file.create_group("dataset1/data2/what").attrs.update(quantity="QIND")


def write_knmi(path):
    with h5py.File(path, "w") as file:
        file["image1/image_data"] = PIXELS.astype(np.uint16)
        file["image1"].attrs["image_geo_parameter"] = np.bytes_("ACCUMULATED_PRECIPITATION_[MM]")
        file.create_group("image1/calibration").attrs.update(
            calibration_formulas=np.bytes_("GEO=0.01*PV+0.0"), calibration_missing_data=[255]
        )
        for end, time in (("start", "13:55"), ("end", "14:00")):
            name, text = f"product_datetime_{end}", f"26-AUG-2010;{time}:00.000"
            file.require_group("overview").attrs[name] = np.array([text], "S")


def write_netcdf(path, dims=("valid_time", "y", "x"), units="kg m-2"):
    values = np.where(PIXELS == 255, np.nan, PIXELS)[None]
    end = np.array(["2018-06-16T10:06"], "M8[ns]")
    data = xarray.Dataset(
        {"precipitation": (dims, values, {"units": units}), "flag": ("x", np.arange(3))},
        {
            "valid_time": ("valid_time", end),
            "start_time": ("valid_time", end - np.timedelta64(6, "m")),
        },
    )
    fill = {"_FillValue": -1, "scale_factor": 0.5, "dtype": "i2"}
    data.to_netcdf(path, engine="h5netcdf", encoding={"precipitation": fill})


def write_images(folder, **about):
    Image.fromarray(PIXELS).save(folder / "AQC162721445F.png")
    known = {"time": "AQC%y%j%H%M?", "unit": "dBZ", "gain": 0.5, "offset": -32, "missing": 255}
    (folder / "radar.json").write_text(json.dumps({**known, "dry": [0], **about}))


def write_table(folder):
    write_images(folder, table="t.csv", gain=0)
    about = json.loads((folder / "radar.json").read_text())
    del about["gain"]
    (folder / "radar.json").write_text(json.dumps({**about, "unit": "mm/h"}))
    rows = [f"{pixel},{pixel / 4 if pixel < 255 else ''}" for pixel in range(256)]
    (folder / "t.csv").write_text("\n".join(["pixel,value", *rows]))


WRITERS = {
    "odim": (lambda d: write_odim(d / "a.h5"), "2016-09-28T14:45:00", DRY, "dbz"),
    "odim amount": (
        lambda d: write_odim(d / "a.hdf", "ACRR", gain=1.0, offset=0.0),
        "2016-09-28T14:45:00",
        np.where(PIXELS == 255, np.nan, PIXELS * 4.0),
        "rate",
    ),
    "knmi": (
        lambda d: write_knmi(d / "RAD.h5"),
        "2010-08-26T14:00:00",
        np.where(PIXELS == 255, np.nan, PIXELS * 0.12),
        "rate",
    ),
    "netcdf": (
        lambda d: write_netcdf(d / "2_20180616.nc"),
        "2018-06-16T10:06:00",
        np.where(PIXELS == 255, np.nan, PIXELS * 10.0),
        "rate",
    ),
    "fmi": (
        lambda d: (d / "x.pgm.gz").write_bytes(gzip.compress(FMI.encode() + PIXELS.tobytes())),
        "2016-09-28T14:45:00",
        DBZ,
        "dbz",
    ),
    "png": (write_images, "2016-09-28T14:45:00", DRY, "dbz"),
    "table": (
        write_table,
        "2016-09-28T14:45:00",
        np.where(PIXELS == 255, np.nan, PIXELS / 4),
        "rate",
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_map_has_its_time_its_values_and_what_is_missing(tmp_path, name):
    write, time, values, unit = WRITERS[name]
    write(tmp_path)
    (place,) = find_maps(tmp_path)
    assert str(place.time) == time
    found, its_unit = place.file.read(place.number)
    assert its_unit == unit
    np.testing.assert_allclose(found, values, rtol=1e-9)


def polar(folder):
    write_odim(folder / "a.h5", kind="PVOL")


def garbage(folder):
    (folder / "a.h5").write_bytes(b"no HDF5")


def same_time(folder):
    write_odim(folder / "a.h5")
    write_odim(folder / "b.h5")


BAD = {
    "grib": (lambda d: (d / "m.grib2").write_bytes(b"GRIB"), r"m\.grib2 is a GRIB file, which is"),
    "nothing": (lambda d: (d / "a.txt").touch(), "holds no radar files"),
    "garbage": (garbage, r"a\.h5 is no HDF5 file, or is cut off"),
    "polar": (polar, r"a\.h5 holds PVOL, not a map"),
    "quantity": (
        lambda d: write_odim(d / "a.h5", "VRAD"),
        r"a\.h5 holds the quantities VRAD, QIND",
    ),
    "date": (lambda d: write_odim(d / "a.h5", time="9999"), r"what/time are '201609289999'"),
    "no time": (lambda d: write_odim(d / "a.h5", "ACRR", minutes="00"), "fell from .*: no time"),
    "layout": (
        lambda d: h5py.File(d / "a.h5", "w").create_group("x"),
        "a.h5 holds x: expected ODIM",
    ),
    "twice": (same_time, r"2016-09-28T14:45:00 is there twice: \S+a\.h5 and \S+b\.h5"),
    "unit": (lambda d: write_netcdf(d / "1.nc", units="K"), "holds precipitation in K: expected"),
    "unknown": (
        lambda d: write_images(d, colour=1),
        r"radar\.json: \['colour'\]: expected an object",
    ),
    "no unit": (lambda d: write_images(d, unit="dbz"), "unit='dbz': expected one of dBZ, mm/h, mm"),
    "name": (lambda d: write_images(d, time=""), "its name tells no time: expected 8 digits"),
    "no json": (
        lambda d: Image.fromarray(PIXELS).save(d / "201609281445.png"),
        r"201609281445\.png: its values are not known: expected radar\.json",
    ),
    "colours": (
        lambda d: (write_images(d), Image.new("RGB", (3, 2)).save(d / "AQC162721445F.png")),
        r"has colours \(mode RGB\)",
    ),
    "cut": (
        lambda d: (d / "x.pgm").write_bytes(FMI.encode() + b"1"),
        r"x\.pgm is cut off: .* 3 x 2",
    ),
    "table": (
        lambda d: (write_table(d), (d / "t.csv").write_text("pixel,value\n0,1\n")),
        r"holds the pixel \d+, which t\.csv has not",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(tmp_path, name):
    write, message = BAD[name]
    write(tmp_path)
    with pytest.raises((ValueError, OSError), match=message):
        [place.file.read(place.number) for place in find_maps(tmp_path)]


def test_rain_and_reflectivity():
    scale = Scale()
    # Marshall and Palmer: 23 dBZ is 1 mm/h, or nearly.
    np.testing.assert_allclose(scale.rate(np.array([10 * np.log10(200), -np.inf])), [1, 0])
    rate = np.array([0.05, 0.1, 1, 10, np.nan])
    np.testing.assert_allclose(scale.stored(rate), [7.0103, 7.0103, 23.0103, 39.0103, np.nan], 1e-5)
    np.testing.assert_allclose(Scale("rate").stored(rate), [0, 0.1, 1, 10, np.nan])
    np.testing.assert_allclose(Scale("db").stored(rate), [-10, -10, 0, 10, np.nan])
    np.testing.assert_allclose(scale.rate(scale.stored(rate[1:])), rate[1:], rtol=1e-5)


def test_maps_are_averaged_over_what_is_seen():
    field = np.arange(24.0).reshape(4, 6)
    np.testing.assert_allclose(average(field, 2, 2), [[4, 7], [16, 19]])
    np.testing.assert_allclose(average(field, 4, 4).mean(), field.mean())
    field[:2, :2] = field[2, 5] = np.nan
    np.testing.assert_allclose(
        average(field, 2, 2), [[np.nan, 7], [16, (15 + 16 + 21 + 22 + 23) / 5]]
    )


def test_gaps_end_events():
    minutes = np.array([0, 5, 10, 16, 31, 36])
    times = np.datetime64("2016-09-28T23:50", "s") + minutes * np.timedelta64(60, "s")
    events, step = find_events(times, 0)
    assert step == 5
    assert [tuple(e) for e in events] == [("2016-09-28T23:50", 0, 4), ("2016-09-29T00:21", 4, 2)]
    with pytest.raises(ValueError, match=r"23:55:00 comes 5 minutes after .*, and the step is 15"):
        find_events(times, 15)
    options = {"test_fraction": 0.5, "val_fraction": 0.0, "seed": 0}
    assert split_events(events, "last", **options) == ["train", "test"]
    assert sorted(split_events(events, "date", **options)) == ["test", "train"]
    with pytest.raises(ValueError, match="of 1 events none is left for training"):
        split_events(events[:1], "event", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": "mm"}, "values='mm': expected one of dbz, rate, db"),
        ({"threshold": 0}, "threshold=0: expected a number from 0.001 to 100"),
        ({"crop": "1-2-3"}, "crop='1-2-3': expected TOP-LEFT-HEIGHT-WIDTH"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_names_tell_the_options():
    config = Config(crop="0-10-20-30", values="rate", step=5.0, split="last", zr_b=1.53)
    assert (
        config.name
        == "128x128_crop0-10-20-30_rate_0.1mmh_z200.0r1.53_step5.0_last_0.2test_0.1val_seed0"
    )
    assert Config.parse(config.name).name == config.name


def advecting_rain(folder, first, count):
    """Rain that moves to the right over a radar that does not see the left columns."""
    for index in range(first, first + count):
        row, column = np.mgrid[:16, :16]
        bump = 40 * np.exp(-((row - 8) ** 2 + (column - 4 - index % 10) ** 2) / 8)
        pixels = np.rint(2 * np.where(bump > 5, bump, -32) + 64).astype(np.uint8)
        pixels[:, :3] = 255
        write_odim(
            folder / f"{index}.h5", time=f"{index // 12:02d}{index % 12 * 5:02d}00", data=pixels
        )


def test_a_data_set_of_events(tmp_path):
    folder = tmp_path / "in"
    for first, count in ((0, 6), (20, 8), (40, 3)):
        advecting_rain(folder, first, count)
    options = {"height": 8, "width": 8, "split": "last", "test_fraction": 0.4, "val_fraction": 0.0}
    pdr_datasets.prepare("radar", data_dir=tmp_path, manual_dir=folder, **options)
    with pytest.raises(ValueError, match="no event of the test part has 8 frames"):
        pdr_datasets.load("radar", data_dir=tmp_path, **options, in_length=4, out_length=4)
    short = pdr_datasets.load("radar", data_dir=tmp_path, **options, in_length=1, out_length=1)
    assert len(short.splits["test"]) == 1  # of three maps: clips for testing share none
    dataset = pdr_datasets.load("radar", data_dir=tmp_path, **options, in_length=2, out_length=1)
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (len(train), len(test)) == (4 + 6, 1)
    assert [int(train[i]["id"]) for i in (0, 3, 4)] == [0, 3, 6]
    assert dataset.clip_name(7) == "2016-09-28T01:40 + 1 maps"
    frames = train[4]["frames"]
    assert frames.shape == (3, 8, 8, 1)
    missing = np.isnan(frames)
    assert missing[:, :, 0].all()  # of the second column, half is seen
    assert not missing[:, :, 1:].any()
    model = dataset.units.normalise(frames)
    assert (dataset.fill, np.nanmin(model)) == (0.0, 0.0)
    assert (dataset.scoring.units, dataset.scoring.spatial_norm) == ("stored", True)
    np.testing.assert_allclose(dataset.scoring.thresholds, [23.0103, 27.8268, 34.1938], rtol=1e-5)
    assert dataset.note == "Missing pixels: 12.5%."
    assert "3 events of 17 maps every 5 minutes, 16 x 16 pixels, stored as 8 x 8" in dataset.reading
