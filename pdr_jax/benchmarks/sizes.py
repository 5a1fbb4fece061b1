"""Sizes of models that others published; `sizes.csv` says whose they are."""

import csv
from importlib import resources
from typing import Any, NamedTuple


class PublishedSize(NamedTuple):
    """The size of a model as it was printed; "" where nothing was.

    Attributes:
      backbone: its name here.
      dataset: the benchmark.
      options: hyperparameters in which it differs from the benchmark's recipe.
      source: whose table.
      parameters: millions.
      gmacs: billions of multiply-accumulates of one pass ("FLOPs" in those tables).
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
