"""A table of the metrics of every frame of every clip, as CSV or Parquet."""

import csv
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pdr_jax.evaluation.figures import Measured
from pdr_jax.files import replacing


def check_target(path: Path) -> None:
    """Refuses a file that `write` could not write, before anything is scored.

    Raises:
      ImportError: the name ends in .parquet, and pyarrow is not installed.
      ValueError: the name ends in neither .csv nor .parquet.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"values={str(path)!r}: expected a name that ends in .csv or .parquet")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ImportError(
            "a .parquet file needs pyarrow: pip install 'pdr-jax[report]', or write a .csv"
        )


def write(path: Path, rows: Mapping[str, Measured]) -> None:
    """Writes a line for every predictor, clip and frame; whole or not at all.

    Columns: predictor, clip (its id), frame (1 is the first predicted), and the metrics.

    Args:
      path: the .csv or .parquet file.
      rows: what was measured, by predictor, with `Measured.values` kept.
    """
    columns: dict[str, np.ndarray] = {}
    for name, row in rows.items():
        clips, frames = next(iter(row.values.values())).shape
        block = {
            "predictor": np.repeat(name, clips * frames),
            "clip": np.repeat(row.ids, frames),
            "frame": np.tile(np.arange(1, frames + 1), clips),
            **{metric: values.reshape(-1) for metric, values in row.values.items()},
        }
        for column, values in block.items():
            before = [columns[column]] if column in columns else []
            columns[column] = np.concatenate([*before, values])
    with replacing(path) as partial:
        if path.suffix == ".parquet":
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(pyarrow.table(columns), partial)
            return
        with partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
