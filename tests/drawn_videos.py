"""Videos that tests draw: files of PyAV and Pillow, and folders of frames."""

from fractions import Fraction

import numpy as np

HEIGHT, WIDTH = 20, 24
RED, GREEN = (250, 0, 0), (0, 250, 0)


def draw(length, height=HEIGHT, width=WIDTH):
    """(length, height, width, 3) uint8: the top left is red, the bottom green, the rest brightens.

    All at sizes that codecs keep.
    """
    frames = np.zeros((length, height, width, 3), np.uint8)
    frames[:] = 10 * np.arange(length, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    frames[:, : height // 2, : width // 2] = RED
    frames[:, height // 2 :] = GREEN
    return frames


def write_video(path, frames, codec="mpeg4", pixels="yuv420p", rate=25, **options):
    """Writes a video with PyAV, of good quality."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pixels
        stream.bit_rate = 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_gif(path, frames):
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=40, loop=0)


def write_images(folder, frames, suffix=".png"):
    from PIL import Image

    folder.mkdir(parents=True)
    options = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}
    for number, frame in enumerate(frames, start=8):  # 8, 9, 10: not in the order of letters
        Image.fromarray(frame).save(folder / f"frame_{number}{suffix}", **options)
