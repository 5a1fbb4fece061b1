"""Writes records to ArrayRecord files in the order given, with one record in memory at a time."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

SHARD_BYTES = 512 * 2**20


def write_split(
    examples: Iterable[tuple[Any, Any]], features: Any, template: tfds.core.ShardedFileTemplate
) -> tfds.core.SplitInfo:
    """Writes a split as TFDS lays it out.

    TFDS's own writer gathers a split in order to shuffle it: up to 1 GB in memory, and beyond that
    through TensorFlow. This one does not shuffle.

    Args:
      examples: pairs (key, example); the keys are not used.
      features: of the examples.
      template: names the split's files.

    Raises:
      ValueError: there are no examples.
      OSError: a file cannot be written, as where the disk is full.
    """
    serializer = tfds.core.ExampleSerializer(features.get_serialized_info())
    files: list[Path] = []
    lengths: list[int] = []
    total = room = 0
    writer = None
    try:
        for _, example in examples:
            record = serializer.serialize_example(features.encode_example(example))
            if writer is None or len(record) > room:
                if writer is not None:
                    with _writing(files[-1]):
                        writer.close()
                files.append(Path(template.data_dir) / f"{template.split}.{len(files)}.part")
                with _writing(files[-1]):
                    writer = ArrayRecordWriter(os.fspath(files[-1]), "group_size:1")
                lengths.append(0)
                room = SHARD_BYTES
            with _writing(files[-1]):
                writer.write(record)
            lengths[-1] += 1
            room -= len(record)
            total += len(record)
    finally:
        if writer is not None:
            with _writing(files[-1]):
                writer.close()
    if not files:
        raise ValueError(f"split {template.split!r} has no examples.")
    for index, file in enumerate(files):  # the names hold the number of files, known only now
        file.rename(template.sharded_filepath(shard_index=index, num_shards=len(files)))
    return tfds.core.SplitInfo(
        name=template.split, shard_lengths=lengths, num_bytes=total, filename_template=template
    )


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # as array_record says that the disk is full
        raise OSError(f"{path} cannot be written: {error}") from error
