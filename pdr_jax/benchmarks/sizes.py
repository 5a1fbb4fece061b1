"""Published sizes of models; `sizes.csv` names the source of each row."""

import csv
from importlib import resources
from typing import Any, NamedTuple


class PublishedSize(NamedTuple):
    """The size of a model as it was printed.

    Attributes:
      backbone: a name in `pdr_jax.backbones.names()`.
      dataset: the benchmark.
      options: hyperparameters of the model, where the table names them.
      source: whose table.
      parameters: millions, as text; "" if it was not printed.
      gmacs: billions of multiply-accumulates of one pass ("FLOPs" in those tables), as text; "" if
        it was not printed.
    """

    backbone: str
    dataset: str
    options: dict[str, Any]
    source: str
    parameters: str
    gmacs: str


def published_sizes() -> list[PublishedSize]:
    """Every row of `sizes.csv`."""
    text = resources.files("pdr_jax.benchmarks").joinpath("sizes.csv").read_text("utf-8")
    _, *rows = csv.reader(text.splitlines())
    return [
        PublishedSize(backbone, dataset, _options(options), source, parameters, gmacs)
        for backbone, dataset, options, source, parameters, gmacs in rows
    ]


def _options(text: str) -> dict[str, Any]:
    pairs = (pair.partition("=") for pair in text.split())
    return {name: int(value) if value.isdecimal() else value for name, _, value in pairs}
