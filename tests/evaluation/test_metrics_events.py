"""CSI, POD, FAR, HSS and bias, against counting pixel by pixel."""

import numpy as np
import pytest

from pdr_jax.metrics.events import Events, event_counts, scores

RNG = np.random.default_rng(0)
PREDICTION = RNG.random((3, 2, 6, 9, 1)).astype(np.float32)  # B, T, H, W, C
TARGET = RNG.random(PREDICTION.shape).astype(np.float32)
TARGET[0, 1, 2, 3:5] = np.nan


def counted(prediction, target, threshold, pool=1):
    """Hits, misses, false alarms and correct rejections of one frame (H, W, 1), cell by cell."""
    counts = np.zeros(4)
    height, width, _ = target.shape
    for i in range(0, height, pool):
        for j in range(0, width, pool):
            truth = target[i : i + pool, j : j + pool]
            known = ~np.isnan(truth)
            if not known.any():
                continue
            forecast = prediction[i : i + pool, j : j + pool][known].max() >= threshold
            observed = truth[known].max() >= threshold
            counts[{(1, 1): 0, (0, 1): 1, (1, 0): 2, (0, 0): 3}[forecast, observed]] += 1
    return counts


@pytest.mark.parametrize("pool", [1, 4])
def test_counts_are_those_of_a_loop_over_cells(pool):
    got = event_counts(PREDICTION, TARGET, np.float32(0.8), pool=pool)
    for clip in range(3):
        for frame in range(2):
            expected = counted(PREDICTION[clip, frame], TARGET[clip, frame], 0.8, pool)
            np.testing.assert_array_equal(got[clip, frame], expected)


def test_scores_by_hand():
    got = scores(np.array([3, 1, 2, 4]))
    assert got["csi"] == pytest.approx(3 / 6)
    assert got["pod"] == pytest.approx(3 / 4)  # hits / observed events
    assert got["far"] == pytest.approx(2 / 5)
    assert got["bias"] == pytest.approx(5 / 4)
    # (right - right by chance) / (all - right by chance), of 10 cells
    chance = (4 * 5 + 6 * 5) / 10
    assert got["hss"] == pytest.approx((7 - chance) / (10 - chance))
    assert np.isnan(scores(np.array([0, 0, 0, 4]))["csi"])


@pytest.fixture(scope="module")
def events():
    """Two batches, the second filled up; nothing reaches the threshold 2."""
    made = Events({"low": 0.5, "high": 0.8, "never": 2.0}, pools=(1, 4, 16))
    made.update(PREDICTION[:2], TARGET[:2])
    made.update(PREDICTION[1:], TARGET[1:], np.array([False, True]))
    return made


def test_counts_are_summed_before_ratios_are_taken(events):
    table = events.by_threshold()
    for label, threshold in (("low", 0.5), ("high", 0.8)):
        for suffix, pool in (("", 1), ("_pool4", 4)):
            total = sum(
                counted(PREDICTION[b, t], TARGET[b, t], threshold, pool)
                for b in range(3)
                for t in range(2)
            )
            for name, value in scores(total).items():
                assert table[label][name + suffix] == pytest.approx(value), (label, name)
    assert np.isnan(table["never"]["csi"])
    assert not [name for name in table["low"] if name.endswith("_pool16")]  # larger than a frame


def test_figures_are_means_over_the_thresholds_that_occur(events):
    table, figures = events.by_threshold(), events.compute()
    assert figures.keys() == {"csi", "pod", "far", "hss", "bias", "csi_pool4"}
    for name, value in figures.items():
        assert value == pytest.approx((table["low"][name] + table["high"][name]) / 2), name
    # Each step's ratio is of its own counts, so the curve's mean is another figure.
    curve = events.per_frame()["csi"]
    first = [
        sum(counted(PREDICTION[b, 0], TARGET[b, 0], threshold) for b in range(3))
        for threshold in (0.5, 0.8)
    ]
    assert curve[0] == pytest.approx(np.mean([scores(total)["csi"] for total in first]))


def test_thresholds_may_differ_by_channel():
    prediction, target = np.zeros((1, 1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 1, 2), np.float32)
    counts = event_counts(prediction, target, np.float32([1.0, 1.5]))
    np.testing.assert_array_equal(counts.squeeze(), [0, 1, 0, 1])


def test_no_threshold_is_refused():
    with pytest.raises(ValueError, match="thresholds is empty"):
        Events({})
