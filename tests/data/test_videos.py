"""Videos: found, split by whole ones, cut into clips; broken ones named; the command line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tyro
from drawn_videos import draw, write_gif, write_images, write_video

import pdr_datasets
from pdr_datasets.videos.config import Config
from pdr_datasets.videos.find import Video, find_videos
from pdr_datasets.videos.split import split_videos
from pdr_jax.commands.data import data_command
from pdr_jax.runs.folder import describe_dataset

SMALL = {"height": 8, "width": 8, "in_length": 2, "out_length": 2}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Eight videos of 4 to 11 frames by four people, in two folders; six kinds of files."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "ann_run.avi", draw(4))
    write_video(folder / "ann_walk.mp4", draw(5), rate=30)
    write_video(folder / "more/bob_run.mkv", draw(6, 32, 16))
    write_video(folder / "more/bob_walk.mov", draw(7))
    write_gif(folder / "more/cem_run.gif", draw(8))
    write_images(folder / "cem_walk", draw(9))
    write_images(folder / "dan_run", draw(10)[..., 0], ".tif")
    write_video(folder / "dan_walk.avi", draw(11))
    (folder / "notes.txt").write_text("not a video")
    (folder / "._dan_walk.avi").write_text("what macOS leaves")
    return folder


@pytest.fixture(scope="module")
def prepared(clips, tmp_path_factory):
    """The same, prepared with the split by person."""
    data_dir = tmp_path_factory.mktemp("prepared")
    options = {"split": "prefix", "test_fraction": 0.25, "val_fraction": 0.25}
    pdr_datasets.prepare("videos", data_dir=data_dir, manual_dir=clips, **options, **SMALL)
    return {"data_dir": data_dir, "config": "8x8_rgb_prefix_0.25test_0.25val_seed0"}


def test_videos_are_found(clips, monkeypatch):
    everything = [
        *("ann_run.avi", "ann_walk.mp4", "cem_walk", "dan_run", "dan_walk.avi"),
        *("more/bob_run.mkv", "more/bob_walk.mov", "more/cem_run.gif"),
    ]

    def names(place):
        return [video.name for video in find_videos(place)]

    assert names(clips) == everything
    assert names(f"{clips}/*.avi") == ["ann_run.avi", "dan_walk.avi"]
    assert names(f"{clips}/**/*_run*") == [name for name in everything if "_run" in name]
    assert names(clips / "dan_run") == ["dan_run"]
    assert names(clips / "ann_run.avi") == ["ann_run.avi"]
    assert names([clips / "more", clips / "ann_run.avi"]) == [everything[0], *everything[5:]]
    monkeypatch.setenv("HOME", str(clips))
    assert names("~/more") == [name.removeprefix("more/") for name in everything[5:]]


def test_what_is_no_video_is_refused(clips, tmp_path):
    for place in (tmp_path, tmp_path / "none", tmp_path / "*.avi"):
        with pytest.raises(FileNotFoundError, match="Give a folder with videos"):
            find_videos(place)
    with pytest.raises(ValueError, match=r"notes.txt is no video; expected one of .avi"):
        find_videos(clips / "*.*")
    with pytest.raises(FileNotFoundError, match=r"gone.avi is missing"):
        find_videos([clips / "gone.avi"])


def test_a_csv_file_lists_videos(clips, tmp_path):
    path = clips / "parts.csv"
    path.write_text("path,part\nann_run.avi,test\nmore/bob_run.mkv,train\ncem_walk,val\n")
    found = find_videos(path)
    assert {video.name: video.part for video in found} == {
        "ann_run.avi": "test",
        "more/bob_run.mkv": "train",
        "cem_walk": "val",
    }
    parts = split_videos(found, "csv", test_fraction=0.2, val_fraction=0.1, seed=0)
    assert {part: [v.name for v in videos] for part, videos in parts.items()} == {
        "train": ["more/bob_run.mkv"],
        "val": ["cem_walk"],
        "test": ["ann_run.avi"],
    }
    for text, match in [
        ("ann_run.avi,test\n", "expected a first line 'path' or 'path,part'"),
        ("path,part\nann_run.avi,tests\n", "line 2: part='tests': expected train, val, test"),
        ("path\nann_run.avi\nann_run.avi\n", "line 3: path='ann_run.avi'.*named once"),
        ("path\nmore\n", "line 2: more is no video and no folder of frames"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=match):
            find_videos(path)
    path.write_text("path\nann_run.avi\n")
    with pytest.raises(ValueError, match=r"split='csv': ann_run.avi has no part"):
        split_videos(find_videos(path), "csv", test_fraction=0.2, val_fraction=0.1, seed=0)
    path.unlink()


def test_parts_are_drawn_by_whole_groups(clips):
    videos = find_videos(clips)

    def parts(rule="prefix", videos=videos, test_fraction=0.25, val_fraction=0.25, seed=0):
        found = split_videos(
            videos, rule, test_fraction=test_fraction, val_fraction=val_fraction, seed=seed
        )
        return {part: [video.name for video in chosen] for part, chosen in found.items()}

    people = {p: {Path(n).name.split("_")[0] for n in names} for p, names in parts().items()}
    assert [len(people[part]) for part in ("train", "val", "test")] == [2, 1, 1]
    assert len(set.union(*people.values())) == 4
    assert [len(names) for names in parts("file").values()] == [4, 2, 2]
    turned = {part: names[::-1] for part, names in parts(videos=videos[::-1]).items()}
    assert turned == parts()
    assert len({str(parts(seed=seed)) for seed in range(8)}) > 1
    assert list(parts(test_fraction=0, val_fraction=0)) == ["train"]
    fewer = parts("file", videos[1:], val_fraction=0)
    moved = set(fewer["test"]) ^ set(parts("file", val_fraction=0)["test"])
    assert len(moved) <= 2
    with pytest.raises(ValueError, match="of 1 videos none is left for training"):
        parts("file", videos[:1])
    with pytest.raises(ValueError, match=r"split='prefix': clip.avi has no '_'"):
        parts(videos=[videos[0]._replace(name="clip.avi")])


def test_clips_stay_within_their_videos(clips, prepared):
    dataset = pdr_datasets.load("videos", **prepared, in_length=2, out_length=2)
    assert (dataset.frame_shape, dataset.overlap) == ((8, 8, 3), 3)
    lengths = {"ann": (4, 5), "bob": (6, 7), "cem": (8, 9), "dan": (10, 11)}
    people = split_videos(
        find_videos(clips), "prefix", test_fraction=0.25, val_fraction=0.25, seed=0
    )
    for part, source in dataset.splits.items():
        stride = 1 if part == "train" else 4
        frames = [n for p in {Path(v.name).name[:3] for v in people[part]} for n in lengths[p]]
        assert len(source) == sum(len(range(0, n - 3, stride)) for n in frames)
        for index in range(len(source)):  # every frame is 10 brighter than the one before
            clip = source[index]["frames"]
            assert clip.shape == (4, 8, 8, 3)
            np.testing.assert_allclose(np.diff(clip[:, 1, 6, 0].astype(int)), 10, atol=4)
    assert len({int(dataset.splits["train"][i]["id"]) for i in range(9)}) == 9


def test_lengths_and_stride_are_chosen_when_opening(prepared):
    dataset = pdr_datasets.load("videos", **prepared, in_length=1, out_length=2, stride=2)
    assert dataset.splits["train"][0]["frames"].shape == (3, 8, 8, 3)
    assert dataset.overlap == 1
    ids = [int(dataset.splits["train"][index]["id"]) for index in range(2)]
    assert np.diff(ids) == [2]
    options = {"split": "prefix", "test_fraction": 0.25, "val_fraction": 0.25, **SMALL}
    longer = pdr_datasets.load("videos", data_dir=prepared["data_dir"], **options)
    assert longer.config == prepared["config"]
    with pytest.raises(ValueError, match=r"no usable video of the \w+ part has 40 frames"):
        pdr_datasets.load("videos", **prepared, in_length=20, out_length=20)
    with pytest.raises(ValueError, match="leave one of them out, or let them agree"):
        pdr_datasets.load("videos", **prepared, height=16)


def test_what_was_read_is_said(prepared):
    dataset = pdr_datasets.load("videos", **prepared, in_length=3, out_length=2)
    assert dataset.reading.startswith(
        "read as 7 videos of 5 to 11 frames (56 in all), 20 x 24 to 32 x 16 pixels, 25 to 30 "
        "frames/s, stored as 8 x 8 rgb; clips of 5 frames: train "
    )
    note = describe_dataset(dataset)["note"]
    assert (
        "Shorter than a clip of 5 frames and not used, 1 of 8 videos: ann_run.avi (4 frames)."
        in note
    )
    assert "Videos of 25 to 30 frames/s" in note


def test_dark_frames_are_remarked(tmp_path, capsys):
    write_images(tmp_path / "files/a", np.full((4, 8, 8), 4095, np.uint16))
    write_images(tmp_path / "files/b", np.full((4, 8, 8), 255, np.uint8))  # hides no other
    options = {"test_fraction": 0, "val_fraction": 0, "channels": "grey", **SMALL}
    for white, note in (
        (65535, r"largest value is 16 of 255 in 1 of 2 videos (a), so"),
        (4095, ""),
    ):
        place = {"data_dir": tmp_path / "data", "white": white, **options}
        pdr_datasets.prepare("videos", manual_dir=tmp_path / "files", **place)
        found = pdr_datasets.load("videos", **place)
        assert note in found.note if note else not found.note
    assert found.splits["train"][0]["frames"].min() == 255
    argv = ["data", "prepare", "videos", "--data-dir", str(tmp_path / "data"), "--channels=grey"]
    argv += ["--test-fraction=0", "--val-fraction=0", "--height=8", "--width=8"]
    argv += ["--in-length=2", "--out-length=2"]
    tyro.extras.subcommand_cli_from_dict({"data": data_command(argv), "x": print}, args=argv)
    assert "shall become 255, as --white 4095 for 12 bits" in capsys.readouterr().out


def test_broken_and_short_videos_are_refused_or_skipped_by_name(clips, tmp_path):
    files = tmp_path / "files"
    shutil.copytree(clips, files)
    (files / "text.mp4").write_text("text")
    (files / "empty.avi").touch()
    content = (files / "dan_walk.avi").read_bytes()
    (files / "dan_walk.avi").write_bytes(content[: content.rindex(b"idx1") - 4])
    write_video(files / "short.avi", draw(3))
    place = {"data_dir": tmp_path / "data", "manual_dir": files, **SMALL}
    every = (
        r"skip_broken=False.*: dan_walk.avi is damaged or cut off after frame \d+; empty.avi is "
        r"empty; short.avi has 3 frames, fewer than a clip of 4; text.mp4 is not"
    )
    with pytest.raises(ValueError, match=every):
        pdr_datasets.prepare("videos", **place)
    assert not list(tmp_path.rglob("dataset_info.json"))
    pdr_datasets.prepare("videos", skip_broken=True, **place)
    dataset = pdr_datasets.load("videos", data_dir=tmp_path / "data", **SMALL)
    note = describe_dataset(dataset)["note"]
    assert "Left out, 4 of 11 videos: dan_walk.avi is" in note
    assert "short.avi has 3 frames, fewer than a clip of 4; text.mp4 is" in note
    assert "read as 7 videos of 4 to 10 frames" in dataset.reading
    for source in dataset.splits.values():  # what was read of the broken one is in no clip
        for index in range(len(source)):
            steps = np.diff(source[index]["frames"][:, 1, 6, 0].astype(int))
            np.testing.assert_allclose(steps, 10, atol=4)
    with pytest.raises(ValueError, match="skip_broken=True: has a meaning for videos only"):
        pdr_datasets.prepare("kth", manual_dir=clips, skip_broken=True)


def test_what_cannot_be_used_is_left_out_before_the_draw(tmp_path):
    files, good = tmp_path / "files", ["a.avi", "b.avi", "c.avi"]
    for name in good:
        write_video(files / name, draw(4))
    options = {"data_dir": tmp_path / "data", "val_fraction": 0, **SMALL}
    names = [*good, "short.avi"]
    alone = {"test_fraction": 1 / 3, "val_fraction": 0}
    for seed in range(100):  # that draws the short one for testing, where it is in the draw
        parts = split_videos([Video(n, Path(n)) for n in names], "file", seed=seed, **alone)
        if [video.name for video in parts["test"]] == ["short.avi"]:
            break
    write_video(files / "short.avi", draw(3))
    place = {"seed": seed, "test_fraction": 1 / 3, **options}
    pdr_datasets.prepare("videos", manual_dir=files, skip_broken=True, **place)
    found = pdr_datasets.load("videos", **place)
    assert found.reading.endswith("clips of 4 frames: train 2 with 2, test 1 with 1")
    for skip in (False, True):
        with pytest.raises(ValueError, match=r"no video can be used: short.avi has 3 frames"):
            pdr_datasets.prepare(
                "videos", manual_dir=files / "short.avi", skip_broken=skip, seed=101, **options
            )


def test_a_clip_is_named_by_its_video_and_first_frame(tmp_path):
    for name in ("a.avi", "b.avi"):
        write_video(tmp_path / "files" / name, draw(9))
    place = {"data_dir": tmp_path / "data", "test_fraction": 0, "val_fraction": 0, **SMALL}
    pdr_datasets.prepare("videos", manual_dir=tmp_path / "files", every=2, **place)
    found = pdr_datasets.load("videos", every=2, **place)
    source = found.splits["train"]
    named = [found.clip_name(int(source[index]["id"])) for index in range(len(source))]
    assert named == [f"{video}.avi, frame {frame}" for video in "ab" for frame in (0, 2)]


def test_preparing_again_from_other_videos_is_refused(clips, prepared, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(clips, other)
    options = {"split": "prefix", "test_fraction": 0.25, "val_fraction": 0.25, **SMALL}
    place = {"data_dir": prepared["data_dir"], **options}
    assert pdr_datasets.prepare("videos", manual_dir=other, **place).is_dir()  # the same files
    assert pdr_datasets.prepare("videos", **place).is_dir()
    shutil.move(other / "ann_run.avi", other / "ann_jump.avi")
    write_video(other / "dan_walk.avi", draw(5))
    with pytest.raises(
        ValueError,
        match=r"1 new \(ann_jump.avi\), 1 gone \(ann_run.avi\), 1 changed \(dan_walk.avi\)",
    ):
        pdr_datasets.prepare("videos", manual_dir=other, **place)


def test_options_are_named_and_checked():
    chosen = Config(height=128, channels="grey", every=2, white=4095, val_fraction=1 / 3, seed=3)
    assert vars(Config.parse(chosen.name)) == vars(chosen)
    listed = Config(split="csv", test_fraction=0.5)
    assert listed.name == "64x64_rgb_csv" == Config.parse("64x64_rgb_csv").name
    for options, match in [
        ({"channels": "bgr"}, "channels='bgr': expected one of rgb, grey"),
        ({"split": "window"}, "split='window': expected one of file, prefix, csv"),
        ({"test_fraction": 1.0}, "test_fraction=1.0: expected at least 0 and below 1"),
        ({"every": 0}, "every=0: expected a whole number from 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            Config(**options)


def test_the_command_line_has_the_options(clips, tmp_path, capsys):
    argv = ["data", "prepare", "videos", "--manual-dir", str(clips), "--data-dir", str(tmp_path)]
    argv += ["--height", "8", "--width", "8", "--in-length", "1", "--out-length", "1"]
    argv += ["--split", "prefix", "--test-fraction", "0.5"]
    for said in ("prepared: ", "prepared before: "):
        tyro.extras.subcommand_cli_from_dict({"data": data_command(argv), "x": print}, args=argv)
        printed = capsys.readouterr().out
        assert printed.startswith(f"{said}{tmp_path}/videos/8x8_rgb_prefix_0.5test_0.1val_seed0/")
        assert "note: read as 8 videos" in printed
