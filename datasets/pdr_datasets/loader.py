"""The Grain pipeline: batches of a source, in a repeatable order."""

import dataclasses
from typing import Any

import numpy as np

from pdr_datasets.augment import Augment
from pdr_datasets.dataset import Source

_AUGMENT = 1  # first number of the seeds of augmentation


@dataclasses.dataclass(frozen=True)
class _ReadBatch:
    """(number of a batch, its sample indices) -> this process's rows of the batch."""

    source: Source
    batch_size: int
    rows: slice
    per_epoch: int
    augment: Augment | None
    seed: int

    def __call__(self, number: int, indices: np.ndarray) -> dict[str, np.ndarray]:
        epoch, batch = divmod(number, self.per_epoch)
        places = range(batch * self.batch_size, (batch + 1) * self.batch_size)[self.rows]
        clips, ids = [], []
        for place, index in zip(places, indices[self.rows], strict=False):  # a batch may be partial
            sample = self.source[int(index)]
            frames = np.asarray(sample["frames"])
            if self.augment is not None:
                stream = [_AUGMENT, self.seed, epoch, place]
                frames = self.augment(frames, np.random.default_rng(stream))
            clips.append(frames)
            ids.append(sample["id"])
        # A partial batch may have no row for this process; its shape is needed all the same.
        shaped = clips or [np.asarray(self.source[0]["frames"])]
        return {"frames": np.stack(shaped)[: len(clips)], "id": np.array(ids, np.int64)}


def batches(
    source: Source,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    num_epochs: int | None = 1,
    drop_remainder: bool = False,
    process_index: int = 0,
    process_count: int = 1,
    num_threads: int = 4,
    prefetch: int = 8,
    augment: Augment | None = None,
) -> Any:
    """Iterates over batches of a source.

    The order is a function of (seed, epoch) alone: which samples make up global batch k, and in
    which order, depends on neither the number of processes nor of threads. Every epoch has an
    order of its own, and a batch never mixes two epochs.

    Args:
      source: the samples, see `Source`.
      batch_size: samples in a batch over all processes; each process gets its contiguous
        batch_size / process_count rows, in the order of a batch axis sharded over processes.
      seed: of the order and of `augment`; non-negative.
      shuffle: whether each epoch's order is a random permutation.
      num_epochs: passes over the source; None repeats for ever.
      drop_remainder: leave out an epoch's last batch if it is incomplete. Otherwise that batch has
        fewer rows (on some processes perhaps none).
      process_index: this process, as jax.process_index().
      process_count: number of processes, as jax.process_count().
      num_threads: threads that read ahead; 0 reads in the caller's thread.
      prefetch: batches read ahead, at most.
      augment: changes each clip as it is read, see `pdr_datasets.augmentation`. What is drawn is a
        function of (seed, epoch, place in the epoch's order) alone.

    Returns:
      A Grain iterator of {"frames": (B, T, H, W, C) in the stored dtype, "id": (B,) int64} with
      get_state() and set_state(state): the position of the next batch, a small dict that fits
      into JSON. Call close() (or drop the last reference) to end its threads early.

    Raises:
      ValueError: the source is empty, the processes cannot share a batch evenly, a batch is larger
        than the source with drop_remainder, or a number is out of range.
    """
    size = len(source)
    _check(size, batch_size, seed, num_epochs, process_index, process_count)
    if drop_remainder and batch_size > size:
        raise ValueError(
            f"batch_size={batch_size} is larger than the source ({size} samples), and "
            "drop_remainder=True leaves out incomplete batches, so no batch would remain. Use "
            f"batch_size <= {size}, or drop_remainder=False."
        )
    for field, value in (("num_threads", num_threads), ("prefetch", prefetch)):
        if value < 0:
            raise ValueError(f"{field}={value!r}: expected 0 or more.")
    import grain  # slow to import, and not needed to name or prepare data sets

    order = grain.MapDataset.range(size)
    if shuffle:
        order = order.shuffle(seed=seed)
    order = order.batch(batch_size, drop_remainder=drop_remainder).repeat(num_epochs)
    share = batch_size // process_count
    read = _ReadBatch(
        source,
        batch_size,
        rows=slice(process_index * share, (process_index + 1) * share),
        per_epoch=size // batch_size if drop_remainder else -(-size // batch_size),
        augment=augment,
        seed=seed,
    )
    return iter(
        order.map_with_index(read).to_iter_dataset(
            grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=prefetch)
        )
    )


def _check(
    size: int,
    batch_size: int,
    seed: int,
    num_epochs: int | None,
    process_index: int,
    process_count: int,
) -> None:
    if size == 0:
        raise ValueError("source is empty: expected at least one sample.")
    if process_count < 1 or not 0 <= process_index < process_count:
        raise ValueError(
            f"process_index={process_index}, process_count={process_count}: expected "
            "0 <= process_index < process_count."
        )
    if batch_size < 1 or batch_size % process_count:
        raise ValueError(
            f"batch_size={batch_size}: expected a positive multiple of "
            f"process_count={process_count}; it counts the samples of all processes together."
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed}: expected 0 <= seed < 2**32.")
    if num_epochs is not None and num_epochs < 1:
        raise ValueError(f"num_epochs={num_epochs}: expected at least 1, or None to repeat.")
