"""Readers of videos: every kind of file, frames upright and in order, broken files noticed."""

import shutil
from fractions import Fraction

import numpy as np
import pytest
from drawn_videos import HEIGHT, RED, WIDTH, draw, write_gif, write_images, write_video

from pdr_datasets.videos.broken import BrokenVideoError
from pdr_datasets.videos.frames import fit_frame, frame_rate, read_frames
from pdr_datasets.videos.images import decode_folder

INSIDE = np.s_[:, :8, np.r_[:8, 16:24]]  # away from edges, which codecs blur


def read(path, *options):
    return np.stack(list(read_frames(path, *options)))


def problem(path, *options):
    with pytest.raises(BrokenVideoError) as caught:
        read(path, *options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "error"),
    [
        ("clip.mp4", "mpeg4", "yuv420p", 12),
        ("clip.MOV", "mpeg4", "yuv420p", 12),
        ("clip.mkv", "mpeg4", "yuv420p", 12),
        ("clip.avi", "mjpeg", "yuvj420p", 12),
        ("clip.avi", "ffv1", "bgr0", 0),
    ],
)
def test_videos_are_read_whole(tmp_path, name, codec, pixels, error):
    frames = draw(12)
    write_video(tmp_path / name, frames, codec, pixels)
    found = read(tmp_path / name)
    assert found.shape == frames.shape
    assert np.abs(found[INSIDE].astype(int) - frames[INSIDE]).max() <= error
    np.testing.assert_array_equal(read(tmp_path / name, 5), found[::5])
    assert frame_rate(tmp_path / name) == 25


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_folders_of_frames_are_read_by_number(tmp_path, suffix):
    write_images(tmp_path / "clip", draw(4), suffix)
    found = read(tmp_path / "clip")
    assert found.shape == (4, HEIGHT, WIDTH, 3)
    error = np.abs(found.astype(int) - draw(4))
    assert error[INSIDE].max() <= 12 if suffix == ".jpg" else error.max() == 0
    assert read(tmp_path / "clip", 3).shape[0] == 2


def test_a_gif_is_read_whole(tmp_path):
    write_gif(tmp_path / "clip.gif", draw(4))
    np.testing.assert_array_equal(read(tmp_path / "clip.gif"), draw(4))
    assert frame_rate(tmp_path / "clip.gif") == 25


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 1, -1, 0), lambda frames: np.rot90(frames, -1, (1, 2))),  # as telephones held upright
        ((-1, 0, 0, -1), lambda frames: np.rot90(frames, 2, (1, 2))),
        ((0, -1, 1, 0), lambda frames: np.rot90(frames, 1, (1, 2))),
        ((-1, 0, 0, 1), lambda frames: frames[:, :, ::-1]),
    ],
)
def test_videos_are_turned_upright(tmp_path, matrix, turn):
    path = tmp_path / "clip.mp4"
    write_video(path, draw(3))
    before = read(path)
    content = path.read_bytes()
    track = content.index(b"tkhd")
    a, b, c, d = (65536 * np.array(matrix)).tolist()
    stored, wanted = (
        np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
        for a, b, c, d in ((65536, 0, 0, 65536), (a, b, c, d))
    )
    path.write_bytes(content[:track] + content[track:].replace(stored, wanted, 1))
    np.testing.assert_array_equal(read(path), turn(before))


def test_photographs_are_turned_upright(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    for number in range(2):
        Image.fromarray(draw(1)[0]).save(tmp_path / f"{number}.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path)[0], np.rot90(draw(1)[0], -1))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_become_8(tmp_path, suffix):
    values = np.array([[[0, 128, 257, 4095], [32768, 65278, 65535, 129]]], np.uint16)
    write_images(tmp_path / "clip", values, suffix)
    found = read(tmp_path / "clip")
    np.testing.assert_array_equal(found, [[[0, 0, 1, 16], [128, 254, 255, 1]]])
    bright = np.stack(list(decode_folder(tmp_path / "clip", white=4095)))
    np.testing.assert_array_equal(bright, [[[0, 8, 16, 255], [255, 255, 255, 8]]])


def test_16_bit_colour_keeps_its_high_byte(tmp_path):
    values = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint16).reshape(HEIGHT, WIDTH, 3) * 45
    import av

    with av.open(str(tmp_path / "1.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=Fraction(1))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb48be"
        frame = av.VideoFrame.from_ndarray(values, format="rgb48le").reformat(format="rgb48be")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    np.testing.assert_array_equal(read(tmp_path)[0], values >> 8)
    assert "16-bit colour" in problem(tmp_path, 1, 4095)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov", ".gif"])
def test_cut_off_files_are_noticed(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (12, HEIGHT, WIDTH, 3), np.uint8)
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    write_gif(path, noise) if suffix == ".gif" else write_video(path, noise, **options)
    content = path.read_bytes()
    assert len(read(path)) == 12
    for share in (0.02, 0.3, 0.5, 0.7, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        assert problem(path)


def test_a_file_cut_off_between_frames_is_noticed(tmp_path):
    import av

    path = tmp_path / "clip.avi"
    write_video(path, draw(12))
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    path.write_bytes(path.read_bytes()[: sum(packets[8])])
    assert "is cut off: its header promises 0.48 s, and 9 frames end 0.12 s before" in problem(path)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".webm", ".gif"])
def test_files_of_other_kinds_are_noticed(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(b"")
    assert problem(path) == "is empty"
    path.write_text("this is a text\n" * 100)
    assert "that can be opened" in problem(path)
    assert str(tmp_path) not in problem(path)


def test_broken_folders_of_frames_are_noticed(tmp_path):
    from PIL import Image

    def folder(name, *names):
        write_images(tmp_path / name, draw(3))
        return tmp_path / name

    path = folder("gap")
    (path / "frame_9.png").unlink()
    shutil.copy(path / "frame_10.png", path / "frame_11.png")
    assert "frame_10.png follows frame_8.png" in problem(path)
    path = folder("twice")
    shutil.copy(path / "frame_9.png", path / "frame_009.png")
    assert "frame_9.png follows frame_009.png" in problem(path)
    path = folder("size")
    Image.fromarray(draw(1)[0, :8, :8]).save(path / "frame_9.png")
    assert "holds frames of 20 x 24, but frame_9.png is 8 x 8" in problem(path)
    path = folder("cut")
    (path / "frame_9.png").write_bytes((path / "frame_9.png").read_bytes()[:60])
    assert "frame_9.png, which cannot be decoded" in problem(path)
    path = folder("text")
    (path / "frame_9.png").write_text("text")
    assert "frame_9.png, which is not an image" in problem(path)
    path = folder("float")
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.float32)).save(path / "frame_11.tif")
    assert "frame_11.tif with 32-bit values" in problem(path)
    path = folder("pages")
    page = Image.fromarray(draw(1)[0])
    page.save(path / "frame_11.tif", save_all=True, append_images=[page])
    assert "frame_11.tif with 2 pages" in problem(path)


def test_frames_are_fitted_as_pillow_does_it():
    from PIL import Image

    frame = draw(2)[1]
    assert fit_frame(frame, HEIGHT, WIDTH, "rgb") is not frame
    np.testing.assert_array_equal(fit_frame(frame, HEIGHT, WIDTH, "rgb"), frame)
    small = Image.fromarray(frame).resize((6, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(fit_frame(frame, 8, 6, "rgb"), small)
    grey = fit_frame(frame, HEIGHT, WIDTH, "grey")
    assert (grey.shape, grey[0, 0, 0]) == ((HEIGHT, WIDTH, 1), round(0.299 * RED[0]))
    assert fit_frame(frame[..., 0], 8, 6, "rgb").shape == (8, 6, 3)
