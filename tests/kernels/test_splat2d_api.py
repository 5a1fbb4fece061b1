"""What splat2d refuses, and how it chooses an implementation."""

import inspect

import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d import IMPLEMENTATIONS, shapes

ARRAYS = {
    "mean": np.zeros((2, 5, 2), np.float32),
    "scale": np.ones((2, 5, 2), np.float32),
    "rotation": np.zeros((2, 5), np.float32),
    "amplitude": np.ones((2, 5, 3), np.float32),
}


def call(**changes):
    """As users call it: without the checks of shapes that only tests add to signatures."""
    return inspect.unwrap(splat2d)(**{**ARRAYS, "height": 4, "width": 6, **changes})


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mean": zeros(2, 5, 3)}, ValueError, r"mean has shape \(2, 5, 3\); expected .*N, 2"),
        ({"mean": zeros(2)}, ValueError, r"mean has shape \(2,\)"),
        ({"scale": zeros(2, 4, 2)}, ValueError, r"scale has shape .* expected \(2, 5\)"),
        ({"scale": zeros(5, 2)}, ValueError, "broadcast first"),
        ({"scale": zeros(1, 5, 2)}, ValueError, "broadcast first"),
        ({"rotation": zeros(2, 5, 1)}, ValueError, "rotation has shape"),
        ({"rotation": zeros()}, ValueError, "rotation has shape"),
        ({"amplitude": zeros(2, 5)}, ValueError, "amplitude has shape"),
        ({"amplitude": zeros(2, 5, 0)}, ValueError, r"expected \(..., N, C\)"),
        ({"mean": zeros(2, 5, 2, dtype=np.int32)}, TypeError, "mean has dtype int32"),
        ({"amplitude": zeros(2, 5, 3, dtype=np.float16)}, TypeError, "float16.* cast it"),
        ({"height": 0}, ValueError, "height is 0"),
        ({"width": -3}, ValueError, "width is -3"),
        ({"width": 4.0}, TypeError, "width is 4.0"),
        ({"height": True}, TypeError, "height is True"),
        ({"window": 4}, ValueError, "window is 4; expected an odd number: use 5"),
        ({"window": 0}, ValueError, "window is 0"),
        ({"window": "5"}, TypeError, "window is '5'"),
        ({"sampling": "nearest"}, ValueError, "exact, bilinear"),
        ({"sampling": "bilinear"}, ValueError, "needs an odd window"),
        ({"implementation": "cuda"}, ValueError, "'cuda'; expected one of reference, xla"),
        ({"implementation": ["xla", "cuda"]}, ValueError, "'cuda'"),
        ({"implementation": []}, ValueError, "empty"),
    ],
)
def test_refusals(changes, error, message):
    with pytest.raises(error, match=message):
        call(**changes)


def test_numpy_sizes_are_accepted():
    assert call(height=np.int64(4), window=np.int32(3)).shape == (2, 4, 6, 3)


def test_implementations_are_tried_in_order(monkeypatch):
    def refuse(*arrays, **options):
        raise NotImplementedError("not on this machine")

    monkeypatch.setitem(IMPLEMENTATIONS, "elsewhere", refuse)
    np.testing.assert_array_equal(call(implementation=["elsewhere", "xla"]), call())
    with pytest.raises(NotImplementedError, match="elsewhere: not on this machine"):
        call(implementation="elsewhere")


def test_cases_are_reproducible_and_partly_off_the_frame():
    case = shapes.WORKLOADS["KTH"]
    first, again, other = case.arguments(1), case.arguments(1), case.arguments(2)
    assert all((x == y).all() for x, y in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()
    assert (first[0] < -0.5).any()
    assert [x.shape for x in first] == [(16, 400, 2), (16, 400, 2), (16, 400), (16, 400, 1)]


def test_one_gaussian_a_pixel_stays_near_its_pixel():
    case = shapes.Case(2, 6, 9, 1, 54, 5)
    mean, scale, *_ = case.arguments()
    y, x = np.divmod(np.arange(54), 9)
    moved = mean - np.stack([x, y], -1)
    assert 1 < np.abs(moved).max() < 10
    assert scale.min() > 0.4
