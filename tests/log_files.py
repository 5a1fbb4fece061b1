"""Reads what loggers leave: the events of TensorBoard and the records of Weights & Biases."""

import struct

from tensorboardX.proto.event_pb2 import Event


def events(run):
    """The events of a run folder, file after file."""
    found = []
    for path in sorted((run / "tensorboard").iterdir()):
        content, position = path.read_bytes(), 0
        while position < len(content):  # length, its checksum, the event, its checksum
            (size,) = struct.unpack_from("<Q", content, position)
            found.append(Event.FromString(content[position + 12 : position + 12 + size]))
            position += 16 + size
    return found


def curve(found, name):
    """(step, value) of each point of a curve."""
    return [
        (event.step, value.simple_value)
        for event in found
        for value in event.summary.value
        if value.tag == name
    ]


def wandb_records(path):
    """The records of a .wandb file, which has the format of LevelDB's logs."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, position, part, found = path.read_bytes(), 7, b"", []
    while position < len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        size, kind = struct.unpack_from("<HB", content, position + 4)
        part += content[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            found.append(Record.FromString(part))
            part = b""
    return found
