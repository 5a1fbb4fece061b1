"""TaxiNYC: the split by date, gaps, Septembers, files that are refused."""

import numpy as np
import pytest

import pdr_datasets


def hours(first, count):
    """Such as "2012123123"; `count` of them, from `first` on."""
    times = np.datetime64(first, "h") + np.arange(count).astype("timedelta64[h]")
    return [time.strftime("%Y%m%d%H") for time in times.tolist()]


# The end of August with two hours of September; the end of a year, without one hour of the next.
TIME = hours("2012-08-31T12", 14) + hours("2012-12-31T12", 24)
TIME.remove("2013010110")
FLOW = np.arange(len(TIME) * 256).reshape(-1, 2, 16, 8).astype(np.uint16)  # no two alike


def load(folder, **content):
    (folder / "in/below").mkdir(parents=True, exist_ok=True)
    np.savez(folder / "in/below/taxinyc_flow.npz", **content)
    pdr_datasets.prepare("taxinyc", data_dir=folder, manual_dir=folder / "in")
    return pdr_datasets.load("taxinyc", data_dir=folder)


def test_2013_is_for_testing_and_windows_cross_no_gap(tmp_path):
    dataset = load(tmp_path, flow=FLOW, time=np.array(TIME))
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert [int(train[i]["id"]) for i in range(len(train))] == [*range(5), *range(12, 17)]
    assert [int(test[i]["id"]) for i in range(len(test))] == [0, 1, 2]
    assert (dataset.config, dataset.frame_shape) == ("16x8_4to4", (16, 8, 2))
    assert (dataset.in_length, dataset.out_length) == (4, 4)
    frames = np.moveaxis(FLOW, 1, -1)
    # 12 hours of August, 2 of September that are left out, 12 of December.
    for sample, first in ((train[4], 4), (train[5], 14), (train[9], 18), (test[2], 28)):
        assert sample["frames"].dtype == np.float32
        np.testing.assert_array_equal(sample["frames"], frames[first : first + 8])
    assert dataset.units == pdr_datasets.Units(0.0, FLOW[25].max())  # of the training part
    assert dataset.scoring == pdr_datasets.Scoring(units="stored", spatial_norm=True)
    assert "24 hours before 2013 for training, 11 from 2013 on for testing" in dataset.note


def test_time_may_be_bytes(tmp_path):
    dataset = load(tmp_path, flow=FLOW, time=np.array(TIME, "S10"))
    assert len(dataset.splits["test"]) == 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("time", None, "holds no array 'time'. It holds: flow"),
        ("flow", None, "holds no array 'flow'. It holds: time"),
        ("flow", FLOW[:, :, :8], r"'flow' has shape \(37, 2, 8, 8\): expected \(T, 2, 16, 8\)"),
        ("flow", FLOW.astype("U5"), "'flow' has dtype <U5: expected numbers"),
        ("time", TIME[1:], r"'time' has shape \(36,\): expected \(37,\), as 'flow'"),
        ("time", np.array(TIME, int), "'time' has dtype int64: expected text"),
        ("time", np.array(TIME, object), "'time' has dtype object: expected text"),
        ("time", [*TIME[:-1], TIME[-2]], "twice at 35 and 36: 2013010109, 2013010109"),
        ("time", TIME[::-1], "out of order at 0 and 1: 2013010111, 2013010109"),
        ("time", [*TIME[:-1], "2013010124"], "'2013010124' at 36: expected a slot from 00 to 23"),
        ("time", [*TIME[:-1], "2013023000"], "'2013023000' at 36: day"),
        ("time", [*TIME[:-1], "2013-01-01"], "'2013-01-01' at 36: expected ten digits"),
        ("time", hours("2012-10-01", 37), "from 2012 to 2012: expected years bef"),
        ("time", hours("2013-10-01", 37), "from 2013 to 2013: expected years bef"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, value, message):
    content = {"flow": FLOW, "time": TIME, name: value}
    with pytest.raises(ValueError, match=message):
        load(tmp_path, **{name: array for name, array in content.items() if array is not None})
    assert not list(tmp_path.glob("taxinyc/16x8*"))


def test_one_file_is_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"manual_dir is not given(?s:.)*taxinyc\*\.npz"):
        pdr_datasets.prepare("taxinyc", data_dir=tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/flow.npz").touch()
    with pytest.raises(FileNotFoundError, match=r"does not hold taxinyc\*\.npz\.(?s:.)*as time"):
        pdr_datasets.prepare("taxinyc", data_dir=tmp_path, manual_dir=tmp_path / "in")
    (tmp_path / "in/taxinyc.npz").touch()
    with pytest.raises(ValueError, match=r"taxinyc\*\.npz is there twice"):
        load(tmp_path, flow=FLOW, time=TIME)
