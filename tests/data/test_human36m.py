"""Human3.6M: OpenSTL's lists and its leaking split, the split by person, frames stored once."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import pdr_datasets
from pdr_datasets.human36m.images import SIZE
from pdr_datasets.human36m.lists import Clip, lay_out, split_by_subject
from pdr_datasets.resize import resize_bicubic

WALK, SIT, EAT = (f"images/{name}_" for name in ("S1_Walk.1", "S9_Sit.2", "S11_Eat.3"))
LISTS = {
    "train.txt": [(WALK, 11), (SIT, 1), (WALK, 1)],
    "test.txt": [(WALK, 16), (EAT, 3), (SIT, 2)],
}
SMALL = {"in_length": 2, "out_length": 1}


def picture(prefix, number, size=SIZE):
    """Smooth, with red = 10 x the video, green = 8 x the frame's number, blue a ramp."""
    ramp = np.broadcast_to(np.linspace(0, 255, size), (size, size))
    red = np.full((size, size), 10.0 * (WALK, SIT, EAT).index(prefix))
    return np.stack([red, np.full((size, size), 8.0 * number), ramp], -1).astype(np.uint8)


def jpeg(image):
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "jpeg", quality=95)
    return encoded.getvalue()


def decoded(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """OpenSTL's folder: lists, and frames 1, 6, 11 ... or others that the clips need."""
    folder = tmp_path_factory.mktemp("human")
    (folder / "images").mkdir()
    for name, clips in LISTS.items():
        lines = [f"{prefix},{begin},{begin + 70}\r\n" for prefix, begin in clips]
        (folder / name).write_text("".join(lines))
        for prefix, begin in clips:
            for number in range(begin, begin + 15, 5):
                (folder / f"{prefix}{number:06d}.jpg").write_bytes(jpeg(picture(prefix, number)))
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy that may be broken."""
    copy = tmp_path / "human"
    (copy / "images").mkdir(parents=True)
    for path in [*original.glob("*.txt"), *original.glob("images/*")]:
        (copy / path.relative_to(original)).write_bytes(path.read_bytes())
    return copy


def load(data_dir, manual_dir, **options):
    options = {**SMALL, **options}
    pdr_datasets.prepare("human36m", data_dir=data_dir, manual_dir=manual_dir, **options)
    return pdr_datasets.load("human36m", data_dir=data_dir, **options)


def clips(source, blue_first):
    """(video, number of the first frame) of every clip, told by its pixels."""
    names = {0: WALK, 10: SIT, 20: EAT}
    found = []
    for k in range(len(source)):
        sample = source[k]
        assert sample["frames"].shape == (3, SIZE, SIZE, 3)
        assert sample["frames"].dtype == np.uint8
        red = int(sample["frames"][0, 128, 128, 2 if blue_first else 0])
        green = sample["frames"][:, 128, 128, 1].astype(int)
        begin = round(green[0] / 8)
        np.testing.assert_allclose(green / 8, [begin, begin + 5, begin + 10], atol=1)
        video = min(names, key=lambda value: abs(red - value))
        found.append((names[video], begin))
    ids = [int(source[k]["id"]) for k in range(len(source))]
    assert len(set(ids)) == len(ids)
    return found


def test_openstls_split_keeps_blue_first(original, tmp_path):
    dataset = load(tmp_path, original, protocol="openstl")
    assert dataset.config == "2to1_openstl"
    assert dataset.frame_shape == (SIZE, SIZE, 3)
    assert "98.8 %" in dataset.note
    assert "The lists have 3 and 3 lines; OpenSTL's have 73404 and 8582" in dataset.note
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert sorted(clips(train, True)) == sorted(LISTS["train.txt"])
    assert sorted(clips(test, True)) == sorted(LISTS["test.txt"])
    frames = train[0]["frames"]  # videos in the order of their names, so S1 first
    for frame, number in zip(frames, (1, 6, 11), strict=True):
        wanted = decoded(original / f"{WALK}{number:06d}.jpg")
        np.testing.assert_array_equal(frame, wanted[..., ::-1])


def test_standard_split_shares_no_person_and_is_rgb(original, tmp_path):
    dataset = load(tmp_path, original, protocol="standard")
    assert dataset.config == "2to1_standard"
    assert "S9 and S11" in dataset.note
    train = clips(dataset.splits["train"], False)
    test = clips(dataset.splits["test"], False)
    assert train == [(WALK, 1), (WALK, 11), (WALK, 16)]  # of both lists
    assert sorted(test) == sorted([(SIT, 1), (SIT, 2), (EAT, 3)])
    np.testing.assert_array_equal(
        dataset.splits["train"][2]["frames"][0], decoded(original / f"{WALK}000016.jpg")
    )


def test_every_frame_is_stored_once_as_it_is(original, tmp_path):
    folder = pdr_datasets.prepare("human36m", data_dir=tmp_path, manual_dir=original, **SMALL)
    files = list(original.glob("images/*.jpg"))
    assert len(files) == 6 + 6 + 3  # the three clips of WALK share frames
    (split,) = json.loads((folder / "dataset_info.json").read_text())["splits"]
    assert split["shardLengths"] == ["15"]
    size = sum(path.stat().st_size for path in files)
    assert size < int(split["numBytes"]) < size + 15 * 100  # not encoded anew


def test_clips_of_any_remainder_are_neighbours():
    clips = [Clip("a", begin, "") for begin in (1, 2, 6, 7, 41)] + [Clip("b", 1, "")]
    frames, starts = lay_out({"train": clips}, 3)
    order = list(frames)
    assert len(order) == len(set(order)) == 4 + 4 + 3 + 3
    found = [order[start : start + 3] for start in starts["train"]]
    assert sorted(clip[0] for clip in found) == sorted((c.prefix, c.begin) for c in clips)
    for first, *rest in found:
        assert rest == [(first[0], first[1] + 5), (first[0], first[1] + 10)]


def test_a_clip_listed_twice_is_taken_once_by_subject():
    clips = [Clip("S5_", 1, ""), Clip("S9_", 1, ""), Clip("S5_", 1, "")]
    assert {k: len(v) for k, v in split_by_subject(clips).items()} == {"train": 1, "test": 1}


def test_shorter_horizon_serves_the_first_frames(original, tmp_path):
    stored = load(tmp_path, original)
    shorter = pdr_datasets.load(
        "human36m", data_dir=tmp_path, config="2to1_standard", in_length=1, out_length=1
    )
    np.testing.assert_array_equal(
        shorter.splits["test"][1]["frames"], stored.splits["test"][1]["frames"][:2]
    )


def test_images_of_another_height_are_resized_as_openstl_does(folder, tmp_path):
    large = picture(WALK, 1, size=300)
    large[100:150, 100:150] = 255
    path = folder / f"{WALK}000001.jpg"
    path.write_bytes(jpeg(large))
    frame = load(tmp_path, folder, protocol="standard").splits["train"][0]["frames"][0]
    resized = resize_bicubic(np.moveaxis(decoded(path), -1, 0), SIZE, SIZE)
    wanted = np.clip(np.rint(np.moveaxis(resized, 0, -1)), 0, 255)
    np.testing.assert_array_equal(frame, wanted)


def refused(folder, data_dir, error, message, **options):
    with pytest.raises(error, match=message):
        load(data_dir, folder, **options)
    assert not list(data_dir.glob("human36m/*to*"))


def test_unreadable_images_are_refused_by_name_and_leave_nothing(folder, tmp_path):
    path = folder / f"{SIT}000011.jpg"
    content = path.read_bytes()
    narrow = jpeg(picture(SIT, 1)[:, :200])
    for broken, error, message in (
        (content[: len(content) // 2], OSError, "cannot be read as an image: .*truncated"),
        (content[:100], OSError, "cannot be read as an image"),
        (b"", OSError, "cannot be read as an image"),
        (narrow, ValueError, "is 256 x 200; expected 256 x 256"),
    ):
        path.write_bytes(broken)
        refused(folder, tmp_path, error, rf"S9_Sit\.2_000011\.jpg {message}")
    path.write_bytes(content)
    assert len(load(tmp_path, folder).splits["train"]) == 3


def test_images_of_more_pixels_than_pillow_trusts_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 256 * 128 - 1)  # refused from twice as many
    refused(folder, tmp_path, OSError, "cannot be read as an image: .*decompression bomb")


def test_missing_frames_are_named_with_the_line_that_needs_them(folder, tmp_path):
    (folder / f"{EAT}000013.jpg").unlink()
    message = r"S11_Eat\.3_000013\.jpg is missing; test\.txt line 2 needs it"
    refused(folder, tmp_path, FileNotFoundError, message)


@pytest.mark.parametrize("line", ["images/S1_Walk.1_,1", "images/S1_Walk.1_,one,71", ",1,71"])
def test_malformed_lines_are_named(folder, tmp_path, line):
    with (folder / "train.txt").open("a") as file:
        file.write(f"\n{line}\n")
    refused(folder, tmp_path, ValueError, r"train\.txt line 5 is .*expected PREFIX,BEGIN,END")


def test_lists_that_cannot_be_split_are_refused(folder, tmp_path):
    standard = {"protocol": "standard"}
    (folder / "test.txt").write_text("\n")
    refused(folder, tmp_path, ValueError, r"test\.txt lists no clips")
    (folder / "test.txt").write_text(f"{WALK},1,71\n")
    (folder / "train.txt").write_text(f"{WALK},11,81\n")
    refused(folder, tmp_path, ValueError, "no test clip, that is, none of S9, S11", **standard)
    (folder / "train.txt").write_text("images/S2_Walk.1_,1,71\n")
    refused(folder, tmp_path, ValueError, r"train\.txt line 1: .*S2_Walk.* is of none", **standard)
    (folder / "train.txt").unlink()
    refused(folder, tmp_path, FileNotFoundError, r"does not hold train\.txt")


def test_missing_files_and_bad_options_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"OpenSTL's folder data/human"):
        pdr_datasets.prepare("human36m", data_dir=tmp_path)
    for options, message in (
        ({"protocol": "subjects"}, "protocol='subjects': expected one of openstl, standard"),
        ({"out_length": 0}, "out_length=0"),
        ({"config": "4to4"}, "config='4to4': expected a name such as '4to4_standard'"),
    ):
        with pytest.raises(ValueError, match=message):
            pdr_datasets.load("human36m", data_dir=tmp_path, **options)
