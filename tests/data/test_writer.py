"""Records are written in order, into as many files as they need."""

import numpy as np
import pytest

import pdr_datasets
from pdr_datasets import writer

SMALL = {"num_train": 11, "num_test": 2, "in_length": 1, "out_length": 1, "size": 16}


def test_a_split_in_several_files_reads_like_one_file(tmp_path, monkeypatch):
    whole = pdr_datasets.load("moving_sprites", data_dir=tmp_path / "one", **SMALL)
    monkeypatch.setattr(writer, "SHARD_BYTES", 2000)  # three records and a bit
    split = pdr_datasets.load("moving_sprites", data_dir=tmp_path / "several", **SMALL)
    files = sorted(p.name for p in (tmp_path / "several").rglob("*train*array_record*"))
    assert len(files) == 4
    assert files[1].endswith("-00001-of-00004")
    assert not list(tmp_path.rglob("*.part"))
    for part, source in whole.splits.items():
        assert len(split.splits[part]) == len(source)
        for index in range(len(source)):
            assert split.splits[part][index]["id"] == index
            np.testing.assert_array_equal(
                split.splits[part][index]["frames"], source[index]["frames"]
            )


def test_a_split_without_examples_is_refused(tmp_path):
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(tmp_path, dataset_name="none", split="val")

    class Features:
        @staticmethod
        def get_serialized_info():
            return {}

    with pytest.raises(ValueError, match="split 'val' has no examples"):
        writer.write_split([], Features, template)
