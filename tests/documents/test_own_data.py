"""The commands of docs/own-data.md run in their order, on clips and a field drawn here."""

import re
import shlex
from pathlib import Path

import av
import numpy as np
import pytest
import xarray
from drawn_videos import draw, write_video

from pdr_jax.commands import main

PAGE = Path(__file__).parents[2] / "docs/own-data.md"
TOY = (
    "--in-length 2 --out-length 2 --devices 1 --backbone-options.hid-S 4 "
    "--backbone-options.hid-T 8 --backbone-options.N-S 2 --backbone-options.N-T 2"
).split()


def commands():
    """The words of each command on the page; trainings have 2 steps in place of 600, and `TOY`."""
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for line in block.splitlines():
            program, *words = shlex.split(line)
            assert program == "pdr"
            if words[0] == "train":
                place = words.index("--steps") + 1
                assert words[place] == "600"
                words[place:] = ["2", *words[place + 1 :], *TOY]
            yield words


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: clips of six cameras, one that is broken in a list, and a field."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    parts = ["path,part", "broken.mp4,train"]
    for camera in range(1, 7):
        name = f"clips/cam{camera}_1.mp4"
        write_video(Path(name), np.roll(draw(21 + camera), camera, axis=2))
        parts.append(f"{name},{'test' if camera == 6 else 'train'}")
    long = np.concatenate([draw(21), draw(21)])  # every second frame of it is a clip
    write_video(Path("clips/cam1_1.mp4"), long)
    write_video(Path("clips/cam6_1.mp4"), long)
    Path("broken.mp4").write_bytes(b"no video")
    Path("parts.csv").write_text("\n".join(parts))
    time = np.datetime64("2020-01-01", "ns") + np.arange(60) * np.timedelta64(1, "h")
    field = np.sin(np.arange(60 * 256).reshape(60, 16, 16) / 50).astype(np.float32)
    dims = ("time", "latitude", "longitude")
    places = {"latitude": np.arange(16.0), "longitude": np.arange(16.0)}
    array = xarray.DataArray(280 + field, {"time": time, **places}, dims, "t2m", {"units": "K"})
    array.to_netcdf("field.nc", engine="h5netcdf")
    return tmp_path


@pytest.mark.rest
def test_the_tour_ends_with_something_to_look_at(folder, capsys):
    for words in commands():
        main(words)
    shown = capsys.readouterr().out
    assert "Left out, 5 of 7 videos: broken.mp4" in shown
    page = (folder / "report.html").read_text()
    assert all(label in page for label in ("pdr, coarse", "plain", "persistence"))
    with av.open("next.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 2
    assert len(list((folder / "frames").glob("*.png"))) == 30
    with xarray.open_dataset("next.nc", engine="h5netcdf") as found:
        assert found.t2m.attrs["units"] == "K"
        assert str(found.time.values[0]).startswith("2020-01-03T12")


def test_the_links_of_the_page_lead_to_files():
    links = re.findall(r"\]\(([^)]+)\)", PAGE.read_text())
    assert links
    assert all((PAGE.parent / link).exists() for link in links)
