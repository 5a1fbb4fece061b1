"""Files of every data set in their real format and frame size, few and with made-up content.

Each writer takes a folder and returns the options of `prepare` alone, and those of `prepare` and
`load`.
"""

import gzip
import io
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

Options = dict[str, Any]
Writer = Callable[[Path], tuple[Options, Options]]
_RNG = np.random.default_rng(0)


def _arrays(folder: Path) -> tuple[Options, Options]:
    """A memory-mapped series of 64x64 frames."""
    folder.mkdir()
    np.save(folder / "series.npy", _RNG.integers(0, 256, (2000, 64, 64, 1)).astype(np.uint8))
    return {}, {"path": folder / "series.npy"}


def _bair(folder: Path) -> tuple[Options, Options]:
    """Four trajectories for training and one for testing, of noise."""
    import tensorflow_datasets as tfds
    from tensorboardX.record_writer import RecordWriter

    names = [f"{number}/image_aux1/encoded" for number in range(30)]
    image = tfds.features.Tensor(shape=(64, 64, 3), dtype=np.uint8, encoding="bytes")
    features = tfds.features.FeaturesDict(dict.fromkeys(names, image))
    serializer = tfds.core.ExampleSerializer(features.get_serialized_info())
    for part, count in (("train", 4), ("test", 1)):
        (folder / part).mkdir(parents=True)
        writer = RecordWriter(str(folder / part / f"traj_0_to_{count}.tfrecords"))
        for _ in range(count):
            frames = _RNG.integers(0, 256, (30, 64, 64, 3)).astype(np.uint8)
            encoded = features.encode_example(dict(zip(names, frames, strict=True)))
            writer.write(serializer.serialize_example(encoded))
        writer.close()
    return {"manual_dir": folder}, {}


def _kitticaltech(folder: Path) -> tuple[Options, Options]:
    """Two drives of twenty clips each, one for testing."""
    folder.mkdir()
    for part in ("train", "test"):
        frames = _RNG.integers(0, 256, (220, 128, 160, 3)).astype(np.uint8)
        np.save(folder / f"{part}_data.npy", frames)
        np.save(folder / f"{part}_idx.npy", np.arange(0, 220, 11))
    return {"manual_dir": folder}, {}


def _sevir(folder: Path) -> tuple[Options, Options]:
    """Four events of smooth noise, of which two are for training."""
    import h5py

    folder.mkdir()
    dates = ("2018-06-01", "2018-06-02", "2019-03-01", "2019-07-01")
    with h5py.File(folder / "vil.h5", "w") as file:
        coarse = _RNG.integers(0, 255, (4, 48, 48, 49)).astype(np.uint8)
        file["vil"] = coarse.repeat(8, axis=1).repeat(8, axis=2)
        file["id"] = np.array(dates, "S10")
    rows = ["id,file_name,file_index,img_type,time_utc,pct_missing"]
    rows += [f"{date},vil.h5,{index},vil,{date},0" for index, date in enumerate(dates)]
    (folder / "CATALOG.csv").write_text("\n".join(rows))
    return {"manual_dir": folder}, {}


def _radar(folder: Path) -> tuple[Options, Options]:
    """Three events of five hours, a map every five minutes."""
    from PIL import Image

    folder.mkdir()
    (folder / "radar.json").write_text('{"unit": "dBZ", "gain": 0.5, "offset": -32}')
    for day in ("2016-09-28", "2016-10-02", "2016-10-07"):
        for time in np.datetime64(f"{day}T12:00") + np.arange(0, 300, 5):
            coarse = _RNG.integers(0, 160, (16, 16)).astype(np.uint8)
            pixels = coarse.repeat(8, axis=0).repeat(8, axis=1)
            Image.fromarray(pixels).save(folder / f"{time.item():%Y%m%d_%H%M}.png")
    return {"manual_dir": folder}, {}


def _taxinyc(folder: Path) -> tuple[Options, Options]:
    """The last quarter of 2012 and the first of 2013."""
    folder.mkdir()
    hours = np.arange("2012-10-01T00", "2013-04-01T00", dtype="datetime64[h]")
    time = [hour.strftime("%Y%m%d%H") for hour in hours.tolist()]
    np.savez_compressed(folder / "taxinyc.npz", flow=_counts(len(time), (2, 16, 8)), time=time)
    return {"manual_dir": folder}, {}


def _bikenyc(folder: Path) -> tuple[Options, Options]:
    """The whole half year."""
    folder.mkdir()
    np.savez_compressed(folder / "bikenyc.npz", flow=_counts(4392, (2, 16, 8)))
    return {"manual_dir": folder}, {}


def _human36m(folder: Path) -> tuple[Options, Options]:
    """JPEG frames of noise enlarged eight times: a detailed picture, 20 to 25 KB a frame."""
    from PIL import Image

    (folder / "images").mkdir(parents=True)
    for subject in (1, 9):
        for number in range(1, 40 * 5, 5):
            small = Image.fromarray(_RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8))
            encoded = io.BytesIO()
            small.resize((256, 256), Image.Resampling.BICUBIC).save(encoded, "jpeg", quality=95)
            path = folder / f"images/S{subject}_Walk.1_{number:06d}.jpg"
            path.write_bytes(encoded.getvalue())
    for name, subject in (("train.txt", 1), ("test.txt", 9)):
        starts = range(1, 32 * 5, 5)
        lines = [f"images/S{subject}_Walk.1_,{start},{start + 70}\n" for start in starts]
        (folder / name).write_text("".join(lines))
    return {"manual_dir": folder}, {}


def _kth(folder: Path) -> tuple[Options, Options]:
    """Two people who run, which gives windows at every third frame."""
    import av

    folder.mkdir()
    listed = []
    for person in (1, 17):
        name = f"person{person:02d}_running_d1"
        with av.open(str(folder / f"{name}_uncomp.avi"), "w") as container:
            stream: Any = container.add_stream("mpeg4", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            for _ in range(240):
                image = _RNG.integers(0, 256, (120, 160, 1)).astype(np.uint8).repeat(3, axis=2)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        listed.append(f"{name}\t\tframes\t1-240\r\n")
    (folder / "00sequences.txt").write_text("".join(listed))
    return {"manual_dir": folder}, {}


def _moving_mnist(folder: Path) -> tuple[Options, Options]:
    """Digits of noise; training clips are drawn while training."""
    folder.mkdir()
    digits = _RNG.integers(0, 256, (1000, 28, 28)).astype(np.uint8)
    encoded = struct.pack(">4I", 2051, *digits.shape) + digits.tobytes()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(encoded, 1))
    for name in ("mnist_test_seq.npy", "fmnist_test_seq.npy"):
        np.save(folder / name, np.zeros((20, 4, 64, 64), np.uint8))
    return {"manual_dir": folder}, {}


def _moving_sprites(folder: Path) -> tuple[Options, Options]:
    del folder
    return {}, {}


def _videos(folder: Path) -> tuple[Options, Options]:
    """KTH's files as a user's own: one of the two is for testing."""
    return _kth(folder)


def _taxibj(folder: Path) -> tuple[Options, Options]:
    """OpenSTL's file, with clips at every time step as in its own."""
    folder.mkdir()
    arrays: dict[str, Any] = {}
    for part, count in (("train", 2000), ("test", 100)):
        series = _counts(count + 7, (2, 32, 32)) / 500 - 1
        clips = np.stack([series[start : start + 8] for start in range(count)])
        arrays |= {f"X_{part}": clips[:, :4], f"Y_{part}": clips[:, 4:]}
    np.savez(folder / "dataset.npz", **arrays)
    return {"manual_dir": folder}, {}


def _weatherbench(folder: Path) -> tuple[Options, Options]:
    """Three years of hours at 5.625 degrees."""
    import xarray as xr

    from pdr_datasets.weatherbench.fields import grid

    (folder / "2m_temperature").mkdir(parents=True)
    latitudes, longitudes = grid(5.625)
    for year in (2010, 2011, 2013):
        times = np.arange(f"{year}-01-01T00", f"{year + 1}-01-01T00", dtype="datetime64[h]")
        field = 280 + _RNG.normal(size=(len(times), 32, 64)).astype(np.float32)
        axes = {"time": times.astype("datetime64[ns]"), "lat": latitudes, "lon": longitudes}
        xr.Dataset({"t2m": (("time", "lat", "lon"), field)}, axes).to_netcdf(
            folder / f"2m_temperature/2m_temperature_{year}_5.625deg.nc",
            engine="h5netcdf",
            encoding={"time": {"units": "hours since 1900-01-01", "dtype": "int64"}},
        )
    return {"manual_dir": folder}, {"years": "2010-2010,2011,2013"}


def _counts(steps: int, frame: tuple[int, ...]) -> np.ndarray:
    return _RNG.integers(0, 1000, (steps, *frame)).astype(np.float32)


WRITERS: dict[str, Writer] = {
    "arrays": _arrays,
    "bair": _bair,
    "bikenyc": _bikenyc,
    "human36m": _human36m,
    "kitticaltech": _kitticaltech,
    "kth": _kth,
    "moving_fmnist": _moving_mnist,
    "moving_mnist": _moving_mnist,
    "moving_sprites": _moving_sprites,
    "radar": _radar,
    "sevir": _sevir,
    "taxibj": _taxibj,
    "taxinyc": _taxinyc,
    "videos": _videos,
    "weatherbench": _weatherbench,
}
