"""The records of a prepared split, whose files are checked when they are opened."""

from pathlib import Path
from typing import Any, SupportsIndex


class Records:
    """Source of a split's records, as TFDS's builder.as_data_source serves them.

    Args:
      builder: of TFDS, prepared.
      split: the split's name.
      decoders: see TFDS.

    Raises:
      OSError: a file of the split is missing, truncated or damaged; so may every access.
    """

    def __init__(self, builder: Any, split: str, decoders: Any = None):
        info = builder.info.splits[split]
        self._folder, self._split = Path(builder.data_dir), split
        for path, count in zip(info.filepaths, info.shard_lengths, strict=True):
            _check(Path(path), count)
        self._source = builder.as_data_source(split, decoders=decoders)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        if not -len(self) <= int(index) < len(self):
            raise IndexError(f"record {int(index)} of {len(self)} in {self._split!r}")
        try:
            return self._source[index]
        except (RuntimeError, ValueError) as error:  # as array_record and TFDS say it
            raise OSError(
                f"{self._folder}: record {int(index)} of {self._split!r} cannot be read: {error}. "
                "Remove this folder and prepare the data set again."
            ) from error


def _check(path: Path, count: int) -> None:
    """Raises OSError unless the file holds so many records."""
    from array_record.python.array_record_module import ArrayRecordReader

    again = f"Remove {path.parent} and prepare the data set again."
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {again}")
    try:
        reader = ArrayRecordReader(str(path))
        found = reader.num_records()
        reader.close()
    except (RuntimeError, ValueError) as error:
        raise OSError(f"{path} cannot be read: {error}. {again}") from error
    if found != count:
        raise OSError(f"{path} holds {found} of its {count} records. {again}")
