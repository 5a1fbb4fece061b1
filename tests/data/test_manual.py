"""Files that the user fetched."""

import hashlib

from pdr_datasets.manual import describe_checksums


def test_checksums_tell_published_files_from_others(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"flows")
    published = {"a.h5": hashlib.md5(b"flows").hexdigest(), "b.h5": "not looked for"}
    assert describe_checksums([tmp_path / "a.h5"], published) == ""
    (tmp_path / "b.h5").write_bytes(b"flows")
    note = describe_checksums([tmp_path / "a.h5", tmp_path / "b.h5"], published)
    assert note == "Not the published file, by its MD5 sum: b.h5."
