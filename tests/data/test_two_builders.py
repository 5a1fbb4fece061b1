"""A build that another process completes while this one opens the data set."""

from pdr_datasets import store
from pdr_datasets.moving_sprites.moving_sprites_dataset_builder import Builder, Config


def test_a_build_that_appears_after_its_builder_was_made_has_its_clips(tmp_path):
    config = Config(size=16, num_train=3, num_test=2, in_length=2, out_length=2)
    early, other = (store.make_builder(Builder, config, tmp_path) for _ in range(2))
    store.prepare_build(other)
    store.prepare_build(early)  # it is there
    opened = store.open_build(early, None, None)
    assert {name: len(source) for name, source in opened.splits.items()} == {"train": 3, "test": 2}
