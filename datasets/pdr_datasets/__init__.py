"""Video data sets for pdr_jax: TFDS builders, a user's own arrays, and the Grain loader.

    import pdr_datasets

    dataset = pdr_datasets.load("moving_sprites")
    for batch in pdr_datasets.batches(dataset.splits["train"], 16, seed=0, shuffle=True):
        frames = dataset.units.normalise(batch["frames"])  # (16, 20, 32, 32, 1) float32 in [0, 1]

Importing this package is cheap: TFDS, Grain, av and zarr are imported where they are first used,
TensorFlow never.
"""

from pdr_datasets.augment import augmentation
from pdr_datasets.catalogue import NotPreparedError, info, load, names, options, prepare
from pdr_datasets.dataset import Scoring, Source, VideoDataset
from pdr_datasets.loader import batches
from pdr_datasets.resident import Resident
from pdr_datasets.units import Units

__all__ = [
    "NotPreparedError",
    "Resident",
    "Scoring",
    "Source",
    "Units",
    "VideoDataset",
    "augmentation",
    "batches",
    "info",
    "load",
    "names",
    "options",
    "prepare",
]
