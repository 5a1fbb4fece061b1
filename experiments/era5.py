"""ERA5 over Britain: hourly 2 m temperature, 12 -> 12, for the experiments that run on it."""

import dataclasses
from pathlib import Path

import numpy as np

import pdr_datasets
from experiments.study import TWO_CORES
from pdr_jax import recipes


def load(path: Path) -> pdr_datasets.VideoDataset:
    """The array "t2m", (time, 33, 49) in kelvin, cropped to 32x48 and z-scored; errors in kelvin.

    Windows at every hour; the last fifth of the time is for testing.
    """
    with np.load(path) as file:
        field = file["t2m"].astype(np.float32)[:, :32, :48, None]
    dataset = pdr_datasets.load(
        "arrays", array=field, axes="THWC", in_length=12, out_length=12, scaling="zscore"
    )
    scoring = pdr_datasets.Scoring(units="stored", spatial_norm=True)
    return dataclasses.replace(dataset, scoring=scoring)


def recipe(adapter: str, loss: str, steps: int) -> recipes.Recipe:
    """The WeatherBench recipe, its backbone narrowed."""
    return recipes.create(
        "weatherbench",
        adapter=adapter,
        loss=loss,
        schedule="onecycle",
        steps=steps,
        save_every=steps,
        **TWO_CORES,
    )
