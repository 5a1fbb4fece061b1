"""Series of flows: whole days, gapless runs, windows."""

import numpy as np

from pdr_datasets.flows import whole_days
from pdr_datasets.series import find_runs, window_starts


def test_whole_days_have_all_their_slots():
    days = whole_days(np.array([0, 1, 2, 3, 5, 6, 7, 8]), 3)
    assert days.tolist() == [True] * 3 + [False] * 2 + [True] * 3


def test_windows_lie_within_runs_of_successive_slots():
    assert find_runs(np.array([3, 4, 5, 9, 11, 12])) == [[0, 3], [3, 1], [4, 2]]
    assert find_runs(np.array([], int)) == []
    assert window_starts([[0, 3], [3, 1], [4, 2]], 2) == [0, 1, 4]
