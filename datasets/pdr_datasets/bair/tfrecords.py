"""Reads TFRecord files of tf.train.Example without TensorFlow.

A file is a row of records: length (8 bytes, little-endian), checksum of the length, content,
checksum of the content. https://www.tensorflow.org/tutorials/load_data/tfrecord describes it, and
https://protobuf.dev/programming-guides/encoding the content.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_records(path: Path) -> Iterator[bytes]:
    """The contents of the records of a file, in order.

    Raises:
      OSError: the file is truncated or damaged.
      ImportError: the package google-crc32c is not installed.
    """
    try:
        import google_crc32c
    except ImportError as error:
        raise ImportError(
            f"{path} needs the package google-crc32c: pip install pdr-jax[data]"
        ) from error

    def sound(content: bytes, checksum: bytes) -> bool:
        crc = google_crc32c.value(content)
        rotated = crc >> 15 | crc << 17
        return struct.pack("<I", (rotated + 0xA282EAD8) % 2**32) == checksum

    with path.open("rb") as file:
        size, number = os.fstat(file.fileno()).st_size, 0
        while head := file.read(12):
            if len(head) == 12 and not sound(head[:8], head[8:]):
                raise OSError(
                    f"{path}: record {number} is damaged, or this is no TFRecord file: the "
                    "checksum of its length does not fit. Fetch it again."
                )
            length = int.from_bytes(head[:8], "little")
            if len(head) < 12 or length + 4 > size - file.tell():
                raise OSError(f"{path} is truncated in record {number}. Fetch it again.")
            content = file.read(length)
            if not sound(content, file.read(4)):
                raise OSError(
                    f"{path}: record {number} is damaged: its checksum does not fit. Fetch it "
                    "again."
                )
            yield content
            number += 1


def bytes_features(record: bytes) -> dict[str, memoryview]:
    """The features of a tf.train.Example that are bytes, by name: the first value of each.

    Raises:
      ValueError: the record is no tf.train.Example.
    """
    features: dict[str, memoryview] = {}
    try:
        for entry in _within(memoryview(record), 1, 1):  # Example.features, Features.feature
            parts = dict(_fields(entry))
            for value in _within(parts[2], 1, 1):  # Feature.bytes_list, BytesList.value
                features.setdefault(str(parts[1], "utf-8"), value)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError("it is no tf.train.Example") from error
    return features


def _within(message: memoryview, *numbers: int) -> Iterator[memoryview]:
    """The messages in the field of the first number of that of the second number, and so on."""
    if not numbers:
        yield message
        return
    for number, value in _fields(message):
        if number == numbers[0]:
            yield from _within(value, *numbers[1:])


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """(number, value) of a message's fields: numbers, or the bytes of texts and messages."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 == 0:
            value: Any
            value, position = _varint(message, position)
        else:
            if key & 7 == 2:
                length, position = _varint(message, position)
            else:
                length = {1: 8, 5: 4}[key & 7]
            value, position = message[position : position + length], position + length
            if position > len(message):
                raise ValueError("a field is longer than its message")
        yield key >> 3, value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number in groups of seven bits that begins there, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):  # ten bytes at most
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number does not end")
