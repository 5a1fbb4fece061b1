"""Batches: a repeatable order, shared between processes, that can be resumed."""

import json
import threading

import numpy as np
import pytest

import pdr_datasets


class Numbers:
    """A source whose frames hold their own index."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        assert 0 <= index < self.size
        return {"frames": np.full((2, 3, 4, 1), index, np.uint8), "id": np.int64(index)}


def ids(iterator, number=None):
    out = [b["id"].tolist() for b, _ in zip(iterator, range(number or 10**6), strict=False)]
    iterator.close()
    return out


def test_batch_holds_stored_dtype_and_matching_ids():
    batch = next(pdr_datasets.batches(Numbers(5), 2))
    assert batch["frames"].shape == (2, 2, 3, 4, 1)
    assert batch["frames"].dtype == np.uint8
    assert batch["id"].dtype == np.int64
    np.testing.assert_array_equal(batch["frames"][:, 0, 0, 0, 0], batch["id"])


def test_unshuffled_order_and_remainder():
    assert ids(pdr_datasets.batches(Numbers(5), 2)) == [[0, 1], [2, 3], [4]]
    assert ids(pdr_datasets.batches(Numbers(5), 2, drop_remainder=True)) == [[0, 1], [2, 3]]


def test_each_epoch_is_another_permutation_and_depends_on_the_seed():
    def flat(seed):
        batches = pdr_datasets.batches(Numbers(40), 7, seed=seed, shuffle=True, num_epochs=2)
        return np.concatenate(ids(batches))

    order = flat(1)
    assert sorted(order[:40]) == sorted(order[40:]) == list(range(40))
    assert order[:40].tolist() != order[40:].tolist()
    assert order[:40].tolist() != list(range(40))
    np.testing.assert_array_equal(order, flat(1))
    assert order.tolist() != flat(2).tolist()


def test_epoch_order_does_not_depend_on_earlier_epochs():
    """Epoch 1 of an endless run is epoch 1 of a run of two epochs."""
    options = {"seed": 3, "shuffle": True, "drop_remainder": True}
    endless = ids(pdr_datasets.batches(Numbers(10), 3, num_epochs=None, **options), 9)
    finite = ids(pdr_datasets.batches(Numbers(10), 3, num_epochs=2, **options))
    assert endless[:6] == finite
    assert endless[6:] != endless[3:6]


def test_order_is_the_same_with_and_without_threads():
    options = {"seed": 3, "shuffle": True, "num_epochs": 3}
    plain = ids(pdr_datasets.batches(Numbers(11), 4, num_threads=0, prefetch=0, **options))
    assert plain == ids(pdr_datasets.batches(Numbers(11), 4, num_threads=3, prefetch=5, **options))


@pytest.mark.parametrize("num_threads", [0, 3])
def test_resumed_in_mid_epoch_equals_uninterrupted(num_threads):
    def start():
        return pdr_datasets.batches(
            Numbers(10), 3, seed=5, shuffle=True, num_epochs=None, num_threads=num_threads
        )

    whole = ids(start(), 12)
    first = start()
    head = [next(first)["id"].tolist() for _ in range(6)]  # in the middle of the second epoch
    state = json.loads(json.dumps(first.get_state()))
    first.close()
    second = start()
    next(second)  # moves on, so that set_state has a position to overwrite
    second.set_state(state)
    assert head + ids(second, 6) == whole


def test_processes_share_each_global_batch_in_order():
    options = {"seed": 2, "shuffle": True, "num_epochs": 2, "drop_remainder": True}
    one = ids(pdr_datasets.batches(Numbers(11), 4, **options))
    shares = [
        ids(pdr_datasets.batches(Numbers(11), 4, process_index=p, process_count=2, **options))
        for p in range(2)
    ]
    assert [left + right for left, right in zip(*shares, strict=True)] == one


def test_processes_cover_a_remainder_once():
    shares = [
        list(pdr_datasets.batches(Numbers(9), 4, process_index=p, process_count=2))
        for p in range(2)
    ]
    assert [len(b["id"]) for b in shares[0]] == [2, 2, 1]
    assert [len(b["id"]) for b in shares[1]] == [2, 2, 0]
    assert shares[1][-1]["frames"].shape == (0, 2, 3, 4, 1)
    every = np.concatenate([b["id"] for share in shares for b in share])
    assert sorted(every) == list(range(9))


def test_closing_ends_the_threads():
    others = set(threading.enumerate())  # another test's iterators may wait for the collector
    batches = pdr_datasets.batches(Numbers(50), 2, num_epochs=None, num_threads=2)
    next(batches)
    started = set(threading.enumerate()) - others
    assert started
    batches.close()
    for thread in started:
        thread.join(timeout=60)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 6, "drop_remainder": True}, "batch_size=6 is larger than the source"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 3, "process_count": 2}, "multiple of process_count=2"),
        ({"batch_size": 2, "process_index": 2, "process_count": 2}, "process_index=2"),
        ({"batch_size": 2, "seed": -1}, "seed=-1"),
        ({"batch_size": 2, "num_epochs": 0}, "num_epochs=0"),
        ({"batch_size": 2, "prefetch": -1}, "prefetch=-1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pdr_datasets.batches(Numbers(5), **options)


def test_empty_source_is_refused():
    with pytest.raises(ValueError, match="empty"):
        pdr_datasets.batches([], 2)
