"""KTH: OpenSTL's windows, both layouts of the files, partial copies, broken files."""

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.kth.clips import Clip, expected_names, find_clips, read_frames, read_sequences
from pdr_datasets.kth.splits import describe_copy
from pdr_datasets.kth.windows import mcvd_starts, window_starts
from pdr_datasets.resize import resize_bilinear

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/kth_windows.json").read_text())
HEIGHT, WIDTH = 24, 32  # of the clips written here; the real ones are 120 x 160


def frame(number):
    """A horizontal ramp that gets brighter with every frame."""
    ramp = np.arange(WIDTH) + 2 * number
    return np.broadcast_to(ramp.astype(np.uint8), (HEIGHT, WIDTH))


def write_video(path, length):
    """Writes mpeg4 in .avi, as the official files are, except for its size."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(1, length + 1):
            picture = av.VideoFrame.from_ndarray(
                np.repeat(frame(number)[..., np.newaxis], 3, axis=2), format="rgb24"
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_images(folder, numbers):
    """Writes a dump of frames as .png."""
    import av

    folder.mkdir(parents=True)
    for number in numbers:
        with av.open(str(folder / f"image_{number:04d}.png"), "w", format="image2") as container:
            stream = container.add_stream("png", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
            picture = av.VideoFrame.from_ndarray(
                np.repeat(frame(number)[..., np.newaxis], 3, axis=2), format="rgb24"
            )
            container.mux(stream.encode(picture))
            container.mux(stream.encode())


def write_list(folder, **clips):
    lines = [f"{name}\t\tframes\t{intervals}\r\n" for name, intervals in clips.items()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00sequences.txt").write_text(
        "person13_handclapping_d3\t*missing*\r\n" + "".join(lines)
    )


@pytest.fixture(scope="module")
def two_persons(tmp_path_factory):
    """Person 01 boxing (flat) and person 17 running (nested), official naming and format."""
    folder = tmp_path_factory.mktemp("kth")
    write_video(folder / "person01_boxing_d1_uncomp.avi", 30)
    write_video(folder / "running/person17_running_d2_uncomp.AVI", 20)
    write_list(folder, person01_boxing_d1="1-9, 12-30", person17_running_d2="1-8, 9-20")
    return folder


def load(name, data_dir, manual_dir, **options):
    pdr_datasets.prepare(name, data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load(name, data_dir=data_dir, **options)


def starts(source):
    samples = (source[i] for i in range(len(source)))
    return [(s["clip"].decode(), int(s["start"])) for s in samples]


@pytest.mark.parametrize("part", ["train", "test"])
def test_windows_are_those_of_openstl(part):
    persons = range(1, 17) if part == "train" else range(17, 26)
    found = []
    for action, clips in GOLDEN["tree"].items():
        for name, intervals in clips.items():
            if int(name[6:8]) in persons:
                numbers = [n for first, last in intervals for n in range(first, last + 1)]
                positions = window_starts(numbers, GOLDEN["length"], action)
                assert positions == sorted(positions)
                found += [[action, name, numbers[p]] for p in positions]
    assert sorted(found) == sorted(GOLDEN[part])


def test_windows_of_slow_actions_do_not_overlap_and_fast_ones_step_by_three():
    assert window_starts(range(1, 41), 20, "walking") == [0, 20]
    assert window_starts(range(1, 28), 20, "running") == [1, 4, 7]
    assert window_starts(range(1, 20), 20, "running") == []


def test_videos_build_by_person(two_persons, tmp_path):
    dataset = load("kth", tmp_path, two_persons, size=16, in_length=2, out_length=4)
    # Backwards from the end without overlap; frames 10 and 11 are not listed.
    assert starts(dataset.splits["train"]) == [("person01_boxing_d1", n) for n in (4, 13, 19, 25)]
    # Sub-sequences 1-8 and 9-20 join, so windows run across them, as in a dump of frames.
    assert starts(dataset.splits["test"]) == [("person17_running_d2", n) for n in range(3, 16, 3)]
    assert dataset.frame_shape == (16, 16, 1)
    assert dataset.config == "16x16_2to4"
    assert "Partial copy: 2 of 599 clips" in dataset.note
    assert "KTH subset, 1 + 1 clips for training and testing: not the KTH" in dataset.note
    sample = dataset.splits["train"][1]
    assert sample["id"] == 1
    assert sample["frames"].dtype == np.uint8
    wanted = resize_bilinear(np.stack([frame(n) for n in range(13, 19)]), 16, 16)
    np.testing.assert_allclose(sample["frames"][..., 0], wanted, atol=4)  # mpeg4 is lossy


def test_shorter_horizon_serves_the_first_frames(two_persons, tmp_path):
    stored = load("kth", tmp_path, two_persons, size=16, in_length=2, out_length=4)
    build = {"data_dir": tmp_path, "config": "16x16_2to4"}
    shorter = pdr_datasets.load("kth", **build, out_length=1, size=16)
    with pytest.raises(ValueError, match="size=32: config='16x16_2to4' has 16; leave one"):
        pdr_datasets.load("kth", **build, size=32)
    assert (shorter.in_length, shorter.out_length) == (2, 1)
    np.testing.assert_array_equal(
        shorter.splits["test"][2]["frames"], stored.splits["test"][2]["frames"][:3]
    )


def test_mcvd_tests_on_256_windows_of_all_frames(tmp_path):
    """Persons 1 to 20 train, and the list of sub-sequences does not count."""
    folder = tmp_path / "in"
    write_video(folder / "person20_boxing_d1_uncomp.avi", 12)
    write_video(folder / "person21_boxing_d1_uncomp.avi", 12)
    write_video(folder / "person25_walking_d1_uncomp.avi", 10)
    lists = {"person20_boxing_d1": "1-12", "person21_boxing_d1": "5-9"}
    write_list(folder, **lists, person25_walking_d1="1-10")
    dataset = load("kth", tmp_path, folder, size=16, in_length=2, out_length=4, split="mcvd")
    assert dataset.config == "16x16_2to4_mcvd_split"
    assert {name for name, _ in starts(dataset.splits["train"])} == {"person20_boxing_d1"}
    tested = starts(dataset.splits["test"])
    first = {n for name, n in tested if name == "person21_boxing_d1"}
    second = {n for name, n in tested if name == "person25_walking_d1"}
    assert len(tested) == 256
    assert [name for name, _ in tested].count("person21_boxing_d1") == 128
    assert first == set(range(1, 8))  # 128 draws of 7 leave none out
    assert second == set(range(1, 6))
    assert "MCVD's rule" in dataset.note


def test_mcvd_windows_have_consecutive_frames():
    gaps = [1, 2, 3, 4, 9, 10, 11, 20]
    drawn, none, empty = mcvd_starts([gaps, [1, 2], []], 3, count=81)
    assert len(drawn) == 21  # windows 0 to 20 of 81 are nearest to the first of three clips
    assert set(drawn) == {0, 1, 4}
    assert none == empty == []
    assert mcvd_starts([gaps], 3, count=5) == mcvd_starts([gaps], 3, count=5)


def test_subsequence_split_for_one_person(tmp_path):
    write_video(tmp_path / "in/person01_walking_d1_uncomp.avi", 24)
    write_list(tmp_path / "in", person01_walking_d1="1-9, 10-14, 15-24")
    options = {"size": 16, "in_length": 2, "out_length": 2}
    with pytest.raises(ValueError, match=r"no test sample.*16x16_2to2_subsequence_split"):
        pdr_datasets.prepare("kth", data_dir=tmp_path, manual_dir=tmp_path / "in", **options)
    assert not list(tmp_path.glob("kth/16x16*"))
    dataset = load("kth", tmp_path, tmp_path / "in", split="subsequence", **options)
    assert [n for _, n in starts(dataset.splits["train"])] == [3, 7, 11]
    assert [n for _, n in starts(dataset.splits["test"])] == [17, 21]
    assert dataset.config == "16x16_2to2_subsequence_split"
    assert "not the KTH benchmark" in dataset.note
    same = pdr_datasets.load("kth", data_dir=tmp_path, config="16x16_2to2_subsequence_split")
    assert same.note == dataset.note


def test_samples_are_ordered_by_person_then_action_then_start(tmp_path):
    for name in ("walking/person02_walking_d1", "boxing/person03_boxing_d1"):
        write_images(tmp_path / name, range(1, 5))
    write_images(tmp_path / "walking/person17_walking_d1", range(1, 3))
    dataset = load("kth", tmp_path / "out", tmp_path, size=16, in_length=1, out_length=1)
    assert starts(dataset.splits["train"]) == [
        ("person02_walking_d1", 1),
        ("person02_walking_d1", 3),
        ("person03_boxing_d1", 1),
        ("person03_boxing_d1", 3),
    ]


def test_dump_of_frames(tmp_path):
    folder = tmp_path / "in"
    write_images(folder / "boxing/person02_boxing_d1", [1, 2, 3, 5, 6, 7, 8, 9])
    write_images(folder / "boxing/person20_boxing_d1_uncomp", range(257, 261))
    dataset = load("kth", tmp_path, folder, size=24, in_length=1, out_length=2)
    assert starts(dataset.splits["train"]) == [("person02_boxing_d1", n) for n in (1, 7)]
    assert starts(dataset.splits["test"]) == [("person20_boxing_d1", 258)]
    wanted = np.rint(resize_bilinear(np.stack([frame(n) for n in (7, 8, 9)]), 24, 24))
    np.testing.assert_array_equal(dataset.splits["train"][1]["frames"][..., 0], wanted)
    with pytest.raises(ValueError, match=r"no list of sub-sequences.*00sequences\.txt"):
        pdr_datasets.prepare(
            "kth", data_dir=tmp_path, manual_dir=folder, config="24x24_1to2_subsequence_split"
        )


def test_missing_files_are_named(two_persons, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"personNN_ACTION_dK_uncomp\.avi"):
        pdr_datasets.prepare("kth", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        pdr_datasets.prepare("kth", data_dir=tmp_path, manual_dir=tmp_path / "no")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"an empty folder"):
        pdr_datasets.prepare("kth", data_dir=tmp_path, manual_dir=tmp_path / "empty")
    (tmp_path / "empty/notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"holds no clips(?s:.)*00sequences\.txt"):
        pdr_datasets.prepare("kth", data_dir=tmp_path, manual_dir=tmp_path / "empty")
    video = two_persons / "person01_boxing_d1_uncomp.avi"
    (tmp_path / "alone/boxing").mkdir(parents=True)
    (tmp_path / "alone/boxing" / video.name).write_bytes(video.read_bytes())
    with pytest.raises(FileNotFoundError, match=r"00sequences\.txt is missing"):
        pdr_datasets.prepare("kth", data_dir=tmp_path, manual_dir=tmp_path / "alone")
    with pytest.raises(
        pdr_datasets.NotPreparedError, match=r"not prepared.*prepare\('kth'"
    ) as refused:
        pdr_datasets.load("kth", data_dir=tmp_path)
    assert (refused.value.name, refused.value.config) == ("kth", "128x128_10to20")


def packet_position(path, number):
    import av

    with av.open(str(path)) as container:
        return [packet.pos for packet in container.demux(video=0) if packet.size][number]


def test_truncated_video_is_refused_and_leaves_nothing(two_persons, tmp_path):
    video = two_persons / "person01_boxing_d1_uncomp.avi"
    content = video.read_bytes()
    between, within = packet_position(video, 20), packet_position(video, 20) + 200
    broken = tmp_path / "in" / video.name
    write_list(broken.parent, person01_boxing_d1="1-15, 16-30")
    options = {"size": 16, "in_length": 1, "out_length": 1, "split": "subsequence"}
    for size, message in (
        (between, "is truncated: its header promises 30 frames, 20 can be read"),
        (within, "is truncated|cannot be decoded"),
        (10, "is not a video that can be opened"),
    ):
        broken.write_bytes(content[:size])
        with pytest.raises(OSError, match=rf"{video.name} ({message})"):
            pdr_datasets.prepare("kth", data_dir=tmp_path, manual_dir=broken.parent, **options)
        assert not list(tmp_path.glob("kth/16x16*"))
    broken.write_bytes(content)
    assert len(load("kth", tmp_path, broken.parent, **options).splits["train"]) == 7


def test_missing_av_names_the_extra(two_persons, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"pip install pdr-jax\[data\]"):
        pdr_datasets.prepare("kth", data_dir=tmp_path, manual_dir=two_persons)


def test_a_list_longer_than_the_video_is_noted(two_persons, tmp_path):
    video = two_persons / "person01_boxing_d1_uncomp.avi"
    write_list(tmp_path / "in", person01_boxing_d1="1-15, 16-33")
    (tmp_path / "in" / video.name).write_bytes(video.read_bytes())
    dataset = load("kth", tmp_path, tmp_path / "in", config="16x16_1to4_subsequence_split")
    assert [n for _, n in starts(dataset.splits["test"])] == [16, 21, 26]
    assert "goes on after the end of person01_boxing_d1" in dataset.note


def test_figures_of_a_whole_copy_are_near_the_published_ones():
    clips = [(Clip(n, Path(f"{n}_uncomp.avi"), ((1, 2),)), [1, 2]) for n in expected_names()]
    assert describe_copy("person", clips).endswith("so they are near, but not the same.")
    less = describe_copy("person", clips[1:])
    assert less.startswith("KTH subset, 382 + 216 clips")
    assert less.endswith("598 of 599 clips. Missing: person01_boxing_d1.")
    dump = [(Clip(clip.name, Path(clip.name)), numbers) for clip, numbers in clips]
    assert describe_copy("person", dump) == ""


def test_mixed_doubled_and_unlisted_clips_are_refused(two_persons, tmp_path):
    content = (two_persons / "person01_boxing_d1_uncomp.avi").read_bytes()
    for folder in ("twice/a", "twice/b", "mixed", "unlisted"):
        path = tmp_path / folder / "person01_boxing_d1_uncomp.avi"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(ValueError, match="there twice"):
        find_clips(tmp_path / "twice")
    write_images(tmp_path / "mixed/boxing/person01_boxing_d2", [1])
    with pytest.raises(ValueError, match=r"both videos .* and frames"):
        find_clips(tmp_path / "mixed")
    write_list(tmp_path / "unlisted", person02_boxing_d1="1-9")
    with pytest.raises(ValueError, match="does not list the frames of person01_boxing_d1"):
        find_clips(tmp_path / "unlisted")


def test_images_of_several_sizes_or_broken_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "boxing/person01_boxing_d1"
    write_images(folder, [1])
    monkeypatch.setattr(f"{__name__}.WIDTH", 48)
    write_images(tmp_path / "other", [2])
    (tmp_path / "other/image_0002.png").rename(folder / "image_0002.png")
    (clip,) = find_clips(tmp_path)
    with pytest.raises(OSError, match="different sizes"):
        read_frames(clip, [1, 2])
    (folder / "image_0002.png").write_bytes(b"nonsense")
    with pytest.raises(OSError, match=r"image_0002\.png cannot be read"):
        read_frames(clip, [2])


def test_the_list_of_sequences_is_read_with_its_oddities(tmp_path):
    write_list(tmp_path, person03_walking_d4="1-92, 118- 216,232-338, 338-432")
    assert read_sequences(tmp_path / "00sequences.txt") == {
        "person03_walking_d4": ((1, 92), (118, 216), (232, 338), (338, 432))
    }
    (tmp_path / "00sequences.txt").write_text("nothing")
    with pytest.raises(ValueError, match="lists no clips"):
        read_sequences(tmp_path / "00sequences.txt")
    assert len(expected_names()) == 599


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "size=4"),
        ({"split": "random"}, "split='random': expected one of person, subsequence, mcvd"),
        ({"config": "128x64_10to20"}, "config='128x64_10to20': expected a name such as"),
        ({"channels": 3}, "kth has no option 'channels'. It has: in_length, out_length, size"),
        ({"out_length": -1}, "out_length=-1"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pdr_datasets.load("kth", data_dir=tmp_path, **options)
