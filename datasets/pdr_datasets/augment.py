"""OpenSTL's augmentations of training clips, one function for each data set.

    augment = pdr_datasets.augmentation("kth")
    batches = pdr_datasets.batches(source, 16, seed=0, shuffle=True, augment=augment)

Each function takes stored frames (T, H, W, C), uint8 or float32, and a random generator. It makes
the same change to every frame and returns frames of the same shape and dtype (uint8 is rounded). It
does not know what the frames mean: a mirrored map keeps the sign of its winds, and an enlarged one
ends at its edges, although the Earth does not.
"""

from collections.abc import Callable

import numpy as np

from pdr_datasets.resize import resize_bicubic, resize_bilinear

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_HEIGHT, _WIDTH = 1, 2  # axes


def augmentation(name: str) -> Augment:
    """OpenSTL's augmentation of a data set, for `batches(..., augment=...)`.

    Raises:
      ValueError: OpenSTL has none for this data set.
    """
    if name not in _AUGMENTATIONS:
        there = ", ".join(sorted(_AUGMENTATIONS))
        raise ValueError(f"name={name!r} has no augmentation. OpenSTL has one for: {there}.")
    return _AUGMENTATIONS[name]


def _taxibj(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirrors left and right, with probability 1/2."""
    return np.flip(frames, _WIDTH) if rng.random() < 0.5 else frames


def _weatherbench(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _taxibj(_zoom(frames, 0.96, rng), rng)


def _kth(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _taxibj(_zoom(frames, 0.95, rng), rng)


def _moving_mnist(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _first_taken(
        _zoom(frames, 0.94, rng),
        rng,
        lambda clip: np.flip(clip, (_HEIGHT, _WIDTH)),
        lambda clip: np.flip(clip, _HEIGHT),
        lambda clip: np.flip(clip, _WIDTH),
    )


def _human36m(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarged from 256 to 262 pixels, cropped, then turned right, or left, or mirrored."""
    height, width = frames.shape[1:3]
    if height != width:
        raise ValueError(f"frames are {height} x {width}: expected squares, since they are turned.")
    enlarged = resize_bicubic(_channels_first(frames), *(int(height / 0.975),) * 2)
    return _first_taken(
        _crop(enlarged, frames, rng),
        rng,
        lambda clip: np.rot90(clip, -1, (_HEIGHT, _WIDTH)),
        lambda clip: np.rot90(clip, 1, (_HEIGHT, _WIDTH)),
        lambda clip: np.flip(clip, _WIDTH),
    )


def _zoom(frames: np.ndarray, kept: float, rng: np.random.Generator) -> np.ndarray:
    """Enlarges by 1 / kept, and crops at random back to the size."""
    height, width = (int(size * (1 / kept)) for size in frames.shape[1:3])
    enlarged = resize_bilinear(_channels_first(frames), height, width, step=kept)
    return _crop(enlarged, frames, rng)


def _crop(enlarged: np.ndarray, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cuts (T, C, H', W') at a random place to the shape and dtype of `frames`."""
    height, width = frames.shape[1:3]
    top = rng.integers(enlarged.shape[-2] - height + 1)
    left = rng.integers(enlarged.shape[-1] - width + 1)
    part = np.moveaxis(enlarged[..., top : top + height, left : left + width], 1, -1)
    if frames.dtype == np.uint8:
        part = np.clip(np.rint(part), 0, 255)
    return part.astype(frames.dtype)


def _first_taken(
    frames: np.ndarray,
    rng: np.random.Generator,
    *changes: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Offers the changes in turn, each with probability 3/4, and makes the first one taken."""
    for change in changes:
        if rng.random() < 0.75:
            return change(frames)
    return frames


def _channels_first(frames: np.ndarray) -> np.ndarray:
    return np.moveaxis(frames, -1, 1)


_AUGMENTATIONS: dict[str, Augment] = {
    "taxibj": _taxibj,
    "weatherbench": _weatherbench,
    "kth": _kth,
    "moving_mnist": _moving_mnist,
    "moving_fmnist": _moving_mnist,
    "bair": _kth,
    "kitticaltech": _kth,
    "human36m": _human36m,
}
