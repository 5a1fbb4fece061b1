"""Files and arrays that claim far more than they hold are refused before anything is allocated."""

import gzip
import io
import json
import os
import zipfile

import h5py
import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.deepst import open_h5
from pdr_datasets.moving_mnist.digits import read_digits
from pdr_datasets.npz import open_member

OPTIONS = {"in_length": 2, "out_length": 2}
HUGE = (10**9, 64, 64, 3)


def npy(shape, dtype="<f4", values=b""):
    stream = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + values


def refused(path, message, error=(ValueError, OSError)):
    with pytest.raises(error, match=message):
        pdr_datasets.load("arrays", path=path, **OPTIONS)


def raw_header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(HUGE, values=bytes(100)), r"claims float32 \(1000000000, .* and 100 are there"),
        (npy((10**12, 10**12, 3)), "claims float32"),
        (npy((10, 4, 4), values=bytes(639)), "640 bytes, and 639 are there"),
        (npy((-1, 4, 4)), r"the shape \(-1, 4, 4\)"),
        (npy((10**10, 4, 4), "|S0"), "takes no bytes"),
        (npy((10, 4, 4), "|O", bytes(1280)), "Python objects"),
        (raw_header(b"(" * 3000), "header is damaged"),
        (raw_header(b"-" * 9000 + b"1"), "header is damaged"),
        (raw_header(b"{'descr'"), "header is damaged"),
        (b"\x93NUMPY\x01", "cannot be read as .npy"),
        (b"", "cannot be read as .npy"),
    ],
)
def test_npy(tmp_path, content, message):
    (tmp_path / "a.npy").write_bytes(content)
    refused(tmp_path / "a.npy", f"^path: .*{message}", ValueError)


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", npy(HUGE, values=bytes(10_000)))
    refused(path, r"a\.npz: 'a' claims 45,776\.4 GiB and holds \d+ bytes", ValueError)
    with pytest.raises(ValueError, match="claims"):
        open_member(path, "a")
    frames = np.random.default_rng(0).random((20, 4, 4))
    for save in (np.savez, np.savez_compressed):
        save(path, a=frames)
        content = path.read_bytes()
        for damaged in (content[:-100], content[:1000] + bytes(40) + content[1040:]):
            path.write_bytes(damaged)
            refused(path, r"^path: .*a\.npz cannot be read as \.npz", OSError)


def zarr_folder(path, shape, chunks):
    path.mkdir()
    meta = {"zarr_format": 2, "dtype": "|u1", "compressor": None, "fill_value": 0}
    meta |= {"order": "C", "filters": None, "shape": shape, "chunks": chunks}
    (path / ".zarray").write_text(json.dumps(meta))
    (path / "0.0.0").write_bytes(bytes(16))
    return path


def test_zarr_that_claims_more_than_it_holds(tmp_path):
    import zarr

    for name, chunks in (("many", [1, 4, 4]), ("one", [10**12, 4, 4])):
        path = zarr_folder(tmp_path / f"{name}.zarr", [10**12, 4, 4], chunks)
        refused(path, r"zarr' claims 14,901\.2 GiB and holds 16 bytes", ValueError)
    path = zarr_folder(tmp_path / "few.zarr", [100, 4, 4], [1, 4, 4])
    refused(path, "holds 1 of the 100 chunks", ValueError)
    with pytest.raises(ValueError, match=r"^array holds 1 of the 100 chunks"):
        pdr_datasets.load("arrays", array=zarr.open(path), **OPTIONS)


def test_chunks_that_are_not_there_are_noted_and_damaged_ones_named(tmp_path):
    import zarr

    path = tmp_path / "a.zarr"
    frames = np.random.default_rng(0).random((20, 4, 4)).astype(np.float32)
    zarr.create_array(path, data=frames, chunks=(1, 4, 4))
    chunks = sorted(place for place in path.glob("c/*/*/*"))
    chunks[0].unlink()
    note = f"1 of 20 chunks of path={str(path)!r} are missing: read as its fill value, 0.0."
    assert pdr_datasets.load("arrays", path=path, **OPTIONS).note == note
    chunks[5].write_bytes(b"damaged")
    refused(path, r"a\.zarr': entries 0 to 19 cannot be read", OSError)


@pytest.mark.parametrize("metadata", [None, "{", "[]", '{"node_type": "array"}'])
def test_zarr_without_sound_metadata(tmp_path, metadata):
    path = tmp_path / "a.zarr"
    path.mkdir()
    if metadata is not None:
        (path / "zarr.json").write_text(metadata)
    refused(path, r"path='.*a\.zarr' cannot be read as Zarr", ValueError)


def test_arrays_that_repeat_their_data():
    grey = np.random.default_rng(0).random((20, 4, 4, 1)).astype(np.float32)
    pdr_datasets.load("arrays", array=np.broadcast_to(grey, (20, 4, 4, 3)), **OPTIONS)
    with pytest.raises(
        ValueError, match=r"array claims 44\.7 GiB and holds 64 bytes.*broadcast_to"
    ):
        pdr_datasets.load(
            "arrays", array=np.broadcast_to(grey[:1], (750_000_000, 4, 4, 1)), **OPTIONS
        )


def test_packed_digits(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = np.array([2051, 4_000_000, 28, 28], ">u4").tobytes()
    path.write_bytes(gzip.compress(header + bytes(10_000)))
    with pytest.raises(ValueError, match=r"claims 2\.9 GiB and holds \d+ bytes"):
        read_digits(path)
    path.write_bytes(gzip.compress(np.array([2051, 2, 28, 28], ">u4").tobytes() + bytes(10**6)))
    with pytest.raises(ValueError, match=r"holds more bytes; its header .* promises 1584"):
        read_digits(path)


def test_hdf5_groups_and_claims(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("data")
        file["date"] = np.array([b"2013070101"])
    with pytest.raises(ValueError, match=r"a\.h5: 'data' is a group: expected an array"):
        open_h5(path, 32, 32, 48)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (10**9, 2, 32, 32), "f4", chunks=(1, 2, 32, 32))
        file.create_dataset("date", (10**9,), "S10", chunks=(1024,))
    with pytest.raises(ValueError, match=r"a\.h5: 'data' claims 7,629\.4 GiB and holds 0 bytes"):
        open_h5(path, 32, 32, 48)
    assert os.path.getsize(path) < 10_000
