"""A prepared data set whose files are damaged or gone, and preparations that cannot be made."""

import errno
import fcntl
import os
import resource
import shutil

import pytest

import pdr_datasets

SMALL = {"num_train": 5, "num_test": 2, "in_length": 1, "out_length": 1, "size": 16}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("prepared")
    pdr_datasets.prepare("moving_sprites", data_dir=data_dir, **SMALL)
    return data_dir


@pytest.fixture
def build(prepared, tmp_path):
    """The folder of a copy that a test may damage."""
    shutil.copytree(prepared, tmp_path / "data")
    return next((tmp_path / "data").glob("moving_sprites/*/1.0.0"))


def load(build):
    return pdr_datasets.load("moving_sprites", data_dir=build.parents[2], **SMALL)


def records(build):
    return next(build.glob("*train*"))


def test_reading_past_the_end_is_no_damage(build):
    source = load(build).splits["train"]
    assert len(list(source)) == len(source) == 5
    with pytest.raises(IndexError, match="record 5 of 5"):
        source[5]


@pytest.mark.parametrize("size", [0, 100, 2**16, -5])
def test_truncated_records_are_named(build, size):
    path = records(build)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        OSError, match=r"train\.array_record\S* cannot be read: .*Remove .* and prepare"
    ):
        load(build)


def test_missing_records_are_named(build):
    records(build).unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.array_record\S* is missing\. Remove"):
        load(build)


def test_records_of_another_build_are_named(build):
    shutil.copy(next(build.glob("*test*")), records(build))
    with pytest.raises(OSError, match=r"train\.array_record\S* holds 2 of its 5 records"):
        load(build)


def test_a_damaged_record_is_named_when_it_is_read(build):
    path = records(build)
    content = bytearray(path.read_bytes())
    content[100] ^= 1  # of the first record: only its checksum tells
    path.write_bytes(content)
    source = load(build).splits["train"]
    with pytest.raises(OSError, match=r"1\.0\.0: record 0 of 'train' cannot be read.*prepare"):
        source[0]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"citation": '])
def test_a_damaged_description_is_named(build, content):
    (build / "dataset_info.json").write_text(content)
    with pytest.raises(OSError, match=r"1\.0\.0 is damaged: .*Remove this folder and prepare"):
        load(build)


def test_a_full_disk_is_an_oserror_and_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # what a file may take
    try:
        with pytest.raises(OSError, match=r"train\.0\.part cannot be written"):
            pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match=r"\.lock cannot be locked: .*set PDR_DATA_DIR"):
        pdr_datasets.prepare("moving_sprites", data_dir=tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_the_way_out_is_named(monkeypatch):
    monkeypatch.delenv("PDR_DATA_DIR", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])  # as for an unknown user
    with pytest.raises(OSError, match=r"home folder is not known .*Set PDR_DATA_DIR"):
        pdr_datasets.load("moving_sprites", **SMALL)
    with pytest.raises(OSError, match="data_dir='~/data': the home folder is not known"):
        pdr_datasets.load("moving_sprites", data_dir="~/data", **SMALL)


def test_a_refused_preparation_leaves_nothing(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/dataset.npz").write_bytes(b"<html>404</html>")
    with pytest.raises(OSError, match=r"cannot be read as \.npz"):
        pdr_datasets.prepare("taxibj", data_dir=tmp_path / "data", manual_dir=tmp_path / "in")
    assert list((tmp_path / "data").iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_a_refused_preparation_keeps_other_builds(build, monkeypatch):
    shared = build.parents[1]
    before = sorted(path for path in shared.rglob("*"))
    other = {**SMALL, "num_train": 6}
    monkeypatch.setattr(
        "pdr_datasets.moving_sprites.moving_sprites_dataset_builder.draw_clip", None
    )
    with pytest.raises(TypeError):
        pdr_datasets.prepare("moving_sprites", data_dir=build.parents[2], **other)
    assert sorted(path for path in shared.rglob("*")) == before
