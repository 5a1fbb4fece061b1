"""Which metrics a data set gets under each protocol."""

import dataclasses

import numpy as np
import pytest

import pdr_datasets
from pdr_jax.evaluation import protocols


def test_openstl_reports_the_metrics_of_published_tables(small_dataset):
    assert protocols.metric_names(small_dataset, "openstl") == ("mse", "mae", "ssim", "psnr")


def test_standard_reports_more(small_dataset):
    assert {"sharpness", "diversity"} <= {*protocols.metric_names(small_dataset, "standard")}


def test_no_window_is_larger_than_the_frames(small_dataset):
    tiny = dataclasses.replace(small_dataset, frame_shape=(6, 8, 1))
    assert protocols.metric_names(tiny, "openstl") == ("mse", "mae", "psnr")


def test_maps_get_the_metrics_of_weather(small_dataset):
    row = {"units": "stored", "spatial_norm": True, "latitudes": tuple(np.linspace(-80, 80, 8))}
    world = dataclasses.replace(small_dataset, scoring=pdr_datasets.Scoring(**row))
    assert protocols.metric_names(world, "openstl") == ("mse", "mae", "rmse")
    assert "rmse_weighted" in protocols.metric_names(world, "standard")
    assert "acc" not in protocols.metric_names(world, "standard")  # it has no climatology


def test_errors_are_measured_in_stored_units():
    rng = np.random.default_rng(0)
    field = (280 + 10 * rng.random((40, 8, 9, 2))).astype(np.float32)
    dataset = pdr_datasets.load(
        "arrays", array=field, in_length=2, out_length=2, scaling="zscore", per_channel=True
    )
    kelvin = dataclasses.replace(
        dataset, scoring=pdr_datasets.Scoring(units="stored", spatial_norm=True)
    )
    model = dataclasses.replace(dataset, scoring=pdr_datasets.Scoring())
    truth = field[None, :4]
    wrong = truth + np.float32([1.0, 2.0])
    figures = {}
    for name, units in (("kelvin", kelvin), ("model", model)):
        evaluator = protocols.evaluator(units)
        normalise = dataset.units.normalise
        evaluator.update(normalise(wrong), normalise(truth))
        figures[name] = evaluator.compute()
    assert figures["kelvin"]["mse"] == pytest.approx(2.5, rel=1e-4)  # mean of 1 and 4
    # A figure that is relative to the range of the data is the same in either units.
    assert figures["kelvin"]["ssim_range1"] == pytest.approx(figures["model"]["ssim_range1"], 1e-3)
