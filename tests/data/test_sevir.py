"""SEVIR: events split by date, missing pixels, clips within events, refusals by file and line."""

import h5py
import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.sevir.catalogue import read_catalogue

FILE = "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5"
EVENTS = {  # id -> part, as the dates say
    "S1": ("2018-12-31 23:55:00", "train"),
    "S2": ("2019-01-01 00:00:00", "train"),
    "S3": ("2019-01-01 00:05:00", "val"),
    "S4": ("2019-06-01 00:05:00", "test"),
    "S5": ("2019-06-02 00:00:00", "test"),
}
FEW = {"variant": "lr", "in_length": 7, "out_length": 6}


def event(number):
    """Frame k of event n is 40 n + k / 2 rounded down, with a larger pixel and a missing one."""
    frames = np.zeros((384, 384, 49), np.uint8) + (40 * number + np.arange(49) // 2).astype("u1")
    frames[3, 4] += 5  # the largest of the pixel (1, 1) of 3 x 3
    if number == 4:
        frames[6, 6, 10] = 255
    return frames


def catalogue(rows, columns="id,file_name,file_index,img_type,time_utc,minute_offsets,pct_missing"):
    return "\n".join([columns, *rows]) + "\n"


def row(name, index, time, missing=0.0, kind="vil", file=FILE):
    return f"{name},{file},{index},{kind},{time},-120:-115,{missing}"


ROWS = [
    row(name, index, time, 0.01 * (name == "S5"))
    for index, (name, (time, _)) in enumerate(EVENTS.items())
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of five events, of which the last misses a pixel; and their catalogue."""
    root = tmp_path_factory.mktemp("sevir")
    path = root / "data" / FILE
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        shape = (5, 384, 384, 49)
        vil = file.create_dataset("vil", shape, "u1")
        for number in range(5):
            vil[number] = event(number)
        file["id"] = np.array(list(EVENTS), "S8")
    others = [row("S1", 7, "2018-12-31 23:55:00", kind="ir069"), row("S9", 0, "x", file="b.h5")]
    (root / "CATALOG.csv").write_text(catalogue(ROWS + others))
    return root


@pytest.fixture(scope="module")
def built(folder, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    pdr_datasets.prepare("sevir", data_dir=data_dir, manual_dir=folder, **FEW)
    return data_dir


def test_events_are_split_by_date_and_clips_lie_within_them(built):
    dataset = pdr_datasets.load("sevir", data_dir=built, **FEW)
    assert (dataset.config, dataset.frame_shape, dataset.overlap) == ("vil_lr", (128, 128, 1), 2)
    for part, numbers in (("train", (0, 1)), ("val", (2,)), ("test", (3, 4))):
        source = dataset.splits[part]
        places = [(number, start) for number in numbers for start in (0, 6, 12)]
        assert len(source) == len(places)
        for k, (number, start) in enumerate(places):
            clip = source[k]["frames"]
            values = 40 * number + np.arange(start, start + 13)
            assert clip.dtype == np.uint8
            np.testing.assert_array_equal(clip[:, 9, 9, 0], values)
            np.testing.assert_array_equal(clip[:, 1, 1, 0], values + 5)
            assert source[k]["id"] == 25 * (number - numbers[0]) + start
    assert "1 files of CATALOG.csv are not there: b.h5" in dataset.note
    assert "events without missing pixels there are 2 train, 1 val, 1 test; pub" in dataset.note


def test_missing_pixels_are_nan_and_published_figures_leave_their_events_out(built):
    dataset = pdr_datasets.load("sevir", data_dir=built, **FEW)
    frames = dataset.splits["test"][3]["frames"]  # of the last event, whose frame 10 is 5 here
    values = dataset.units.normalise(frames)
    assert np.argwhere(np.isnan(values)).tolist() == [[5, 2, 2, 0]]
    np.testing.assert_allclose(values[0, 0, 0, 0], 160 / 255, rtol=1e-6)
    assert dataset.fill == 0
    assert dataset.scoring.thresholds == (16, 74, 133, 160, 181, 219)
    published = pdr_datasets.load("sevir", data_dir=built, protocol="openstl", **FEW)
    assert [len(published.splits[part]) for part in ("train", "val", "test")] == [6, 3, 3]
    longer = pdr_datasets.load("sevir", data_dir=built, variant="lr", in_length=13, out_length=12)
    assert [len(longer.splits[part]) for part in ("train", "val", "test")] == [2, 1, 2]
    with pytest.raises(ValueError, match="no recording of the train part has 26 frames"):
        pdr_datasets.load("sevir", data_dir=built, variant="lr", in_length=13, out_length=13)


@pytest.mark.rest
def test_the_full_variant_holds_the_files_frames(folder, tmp_path):
    pdr_datasets.prepare("sevir", data_dir=tmp_path, manual_dir=folder)
    dataset = pdr_datasets.load("sevir", data_dir=tmp_path)
    assert (dataset.config, dataset.frame_shape) == ("vil_full", (384, 384, 1))
    assert [len(dataset.splits[part]) for part in ("train", "val", "test")] == [6, 3, 6]
    clip = dataset.splits["test"][4]["frames"][..., 0]  # begins with frame 12 of the last event
    np.testing.assert_array_equal(clip, np.moveaxis(event(4)[..., 12:37], -1, 0))


def refused(tmp_path, error, message):
    with pytest.raises(error, match=message):
        pdr_datasets.prepare("sevir", data_dir=tmp_path / "data", manual_dir=tmp_path / "files")
    assert not list((tmp_path / "data").glob("sevir/vil*"))


@pytest.fixture
def copy(tmp_path):
    """A folder for a catalogue, and a small file of the same ids that may be broken."""
    path = tmp_path / "files" / FILE
    path.parent.mkdir(parents=True)
    (tmp_path / "files/CATALOG.csv").write_text(catalogue(ROWS))
    return path


def test_broken_files_are_refused_and_leave_nothing(copy, tmp_path):
    copy.write_bytes(b"x")
    refused(tmp_path, OSError, r"0630\.h5 is not an HDF5 file")
    for shape, kind, ids, message in (
        ((5, 8, 8, 49), "u1", "S1 S2 S3 S4 S5", r"'vil' holds uint8 \(5, 8, 8, 49\): expected"),
        ((5, 384, 384, 49), "f4", "S1 S2 S3 S4 S5", "'vil' holds float32"),
        ((5, 384, 384, 49), "u1", "S2 S1 S3 S4 S5", "'id' is S2 at 0: CATALOG.csv says S1"),
        ((5, 384, 384, 49), "u1", "", "'id' is nothing at 0: CATALOG.csv says S1"),
        ((500, 384, 384, 49), "u1", "S1", "'vil' claims 3.4 GiB and holds 0 bytes"),
    ):
        with h5py.File(copy, "w") as file:
            file.create_dataset("vil", shape, kind, chunks=(1, 8, 8, 49))
            file["id"] = np.array(ids.split(), "S8")
        refused(tmp_path, ValueError, message)
    with h5py.File(copy, "w") as file:
        file["ir069"] = [1]
    refused(tmp_path, ValueError, r"0630\.h5 holds no 'vil'. It holds: ir069")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (catalogue([row("S1", 0, "yesterday")]), r"CATALOG\.csv line 2: Invalid isoformat"),
        (catalogue([row("S1", "first", "2018-01-01")]), "line 2: invalid literal for int"),
        (catalogue([], "id,file_name"), "it has no column file_index, img_type, time_utc"),
        ("", "it has no column id"),
    ],
)
def test_broken_catalogues_are_refused_by_line(copy, tmp_path, text, message):
    copy.touch()
    (tmp_path / "files/CATALOG.csv").write_text(text)
    refused(tmp_path, ValueError, message)


def test_missing_files_and_bad_options_are_refused(copy, tmp_path):
    refused(tmp_path, FileNotFoundError, rf"no event of the train part\. Not there .*{FILE}")
    copy.touch()
    rows = [*ROWS, row("S1", 8, "2018-12-31 23:55:00")]
    (tmp_path / "files/CATALOG.csv").write_text(catalogue(rows))
    parts, note = read_catalogue(tmp_path / "files")
    assert [event.name for event in parts["train"]] == ["S2"]  # an id that is there twice
    assert note == ""
    (tmp_path / "files/CATALOG.csv").unlink()
    refused(tmp_path, FileNotFoundError, r"does not hold CATALOG\.csv")
    (copy.parent / "more").mkdir()
    (copy.parent / "more" / copy.name).touch()
    (tmp_path / "files/CATALOG.csv").write_text(catalogue(ROWS))
    refused(tmp_path, ValueError, r"0630\.h5 is there twice: ")
    for options, message in (
        ({"variant": "small"}, "sevir: variant='small': expected one of full, lr"),
        ({"protocol": "earthformer"}, "protocol='earthformer': expected one of openstl, standard"),
        ({"config": "vil"}, "config='vil': expected a name such as 'vil_full'"),
    ):
        with pytest.raises(ValueError, match=message):
            pdr_datasets.load("sevir", data_dir=tmp_path, **options)
