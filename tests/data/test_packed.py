"""Packed and masked numbers: decoded as xarray decodes them; missing values are refused by name."""

import h5py
import numpy as np
import pytest
import xarray as xr

import pdr_datasets

OPTIONS = {"in_length": 2, "out_length": 2}
PACKINGS = {
    "plain": {},
    "fill 1e20": {"_FillValue": 1e20},
    "missing_value": {"_FillValue": None, "missing_value": -9999.0},
    "uint8": {"dtype": "uint8", "scale_factor": 0.25, "add_offset": 260.0, "_FillValue": 255},
    "int16": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 285.0, "_FillValue": -32768},
    "_Unsigned": {
        "dtype": "int8",
        "scale_factor": 0.25,
        "add_offset": 260.0,
        "_FillValue": -1,
        "_Unsigned": "true",
    },
}


def kelvin():
    return np.random.default_rng(0).uniform(270, 300, (20, 4, 5)).astype(np.float32)


def write(path, values, packing, zarr_format):
    data = xr.Dataset({"t2m": (("time", "y", "x"), values)})
    data.to_zarr(path, encoding={"t2m": packing}, zarr_format=zarr_format, consolidated=False)
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("packing", PACKINGS.values(), ids=PACKINGS.keys())
def test_zarr_is_decoded_as_xarray_decodes_it(tmp_path, packing, zarr_format):
    path = write(tmp_path / "a.zarr", kelvin(), packing, zarr_format)
    wanted = xr.open_zarr(path, consolidated=False)["t2m"].values
    dataset = pdr_datasets.load("arrays", path=path, **OPTIONS)
    frames = dataset.splits["train"][3]["frames"]
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames[..., 0], wanted[3:7], rtol=1e-7)
    assert dataset.units.offset == pytest.approx(wanted[:16].min(), rel=1e-7)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("packing", PACKINGS.values(), ids=PACKINGS.keys())
def test_missing_values_are_counted_and_located(tmp_path, packing, zarr_format):
    values = kelvin()
    values[7] = values[9, 1, 2] = np.nan
    path = write(tmp_path / "a.zarr", values, packing, zarr_format)
    named = [name for name in ("_FillValue", "missing_value") if packing.get(name) is not None]
    mark = f" or its {named[0]} .*" if named else ""
    first = r"the first at \(7, 0, 0, 0\)"
    with pytest.raises(ValueError, match=rf"zarr' holds 21 values that are NaN.*{mark}, {first}"):
        pdr_datasets.load("arrays", path=path, **OPTIONS)


def test_uint8_of_zarr_format_2_that_xarray_did_not_write_stays_as_it_is(tmp_path):
    """Zarr's default fill value there is 0, which is black."""
    import zarr

    frames = np.random.default_rng(0).integers(0, 255, (20, 4, 5)).astype(np.uint8)
    frames[3] = 0
    stored = zarr.create_array(
        tmp_path / "a.zarr", shape=frames.shape, dtype=frames.dtype, zarr_format=2, fill_value=0
    )
    stored[:] = frames
    dataset = pdr_datasets.load("arrays", path=tmp_path / "a.zarr", **OPTIONS)
    assert dataset.units == pdr_datasets.Units(0.0, 255.0)
    np.testing.assert_array_equal(dataset.splits["train"][1]["frames"][..., 0], frames[1:5])


def test_attributes_of_hdf5_and_of_xarray_are_decoded_too(tmp_path):
    numbers = np.arange(20 * 4 * 5, dtype=np.int16).reshape(20, 4, 5)
    wanted = np.float32(0.5) * numbers + 3
    attributes = {"scale_factor": np.float32([0.5]), "add_offset": 3.0}
    array = xr.DataArray(numbers, dims=("time", "y", "x"), attrs=attributes)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = file.create_dataset("x", data=numbers)
        stored.attrs.update(attributes)
        for data in (array, stored):
            dataset = pdr_datasets.load("arrays", array=data, **OPTIONS)
            sample = dataset.splits["train"][2]["frames"]
            np.testing.assert_allclose(sample[..., 0], wanted[2:6], rtol=1e-6)
        for name, value in (("scale_factor", "abc"), ("scale_factor", 0.0), ("add_offset", np.nan)):
            stored.attrs.update({**attributes, name: value})
            with pytest.raises(ValueError, match=f"array: {name}="):
                pdr_datasets.load("arrays", array=stored, **OPTIONS)
        stored.attrs.update(attributes)
        stored.attrs["_FillValue"] = "none"
        with pytest.raises(ValueError, match="array: _FillValue='none': expected a number"):
            pdr_datasets.load("arrays", array=stored, **OPTIONS)


def test_masked_entries_are_refused():
    mask = np.zeros((20, 4, 5), bool)
    pdr_datasets.load("arrays", array=np.ma.masked_array(kelvin(), mask), **OPTIONS)
    mask[7, 1] = True
    with pytest.raises(ValueError, match=r"array holds 5 masked entries, the first at \(7, 1, 0\)"):
        pdr_datasets.load("arrays", array=np.ma.masked_array(kelvin(), mask), **OPTIONS)


class MasksOnReading:
    """As netCDF4.Variable does."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, index):
        return np.ma.masked_equal(self.values[index], self.values[7, 0, 0])


def test_what_is_masked_on_reading_is_refused():
    with pytest.raises(ValueError, match="array holds 1 values"):
        pdr_datasets.load("arrays", array=MasksOnReading(kelvin()), **OPTIONS)
    grey = np.arange(20, dtype=np.uint8).reshape(20, 1, 1) * np.ones((1, 4, 5), np.uint8)
    with pytest.raises(ValueError, match="array is masked within entries"):
        pdr_datasets.load("arrays", array=MasksOnReading(grey), **OPTIONS)
