"""Files of .safetensors are read; headers that contradict themselves or the file are refused."""

import json

import numpy as np
import pytest

from pdr_jax.interop import safetensors


def write(path, header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


def entry(dtype, shape, start, stop):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def test_tensors_are_read_by_name(tmp_path):
    header = {
        "__metadata__": {"format": "pt"},
        "b": entry("I64", [], 12, 20),
        "a": entry("F32", [1, 3], 0, 12),
        "empty": entry("F32", [0, 4], 20, 20),
        "half": entry("BF16", [2], 20, 24),
    }
    values = np.array([1.5, -2, 3], np.float32)
    halves = np.array([1.5, -2], np.float32).view(np.uint16)[1::2]  # exact in bfloat16
    content = values.tobytes() + np.int64(7).tobytes() + halves.tobytes()
    found = safetensors.load(write(tmp_path / "x.safetensors", header, content))
    assert found.keys() == {"a", "b", "empty", "half"}
    np.testing.assert_array_equal(found["a"], [values])
    np.testing.assert_array_equal(found["half"], np.float32([1.5, -2]))
    assert (found["b"], found["empty"].shape) == (7, (0, 4))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{", "header is no JSON"),
        (b"\xff", "header is no JSON"),
        (b"[" * 100_000, "header is no JSON"),
        (b"[1]", "header is no JSON object"),
        ({"a": entry("F8_E4M3", [8], 0, 8)}, "a has the type F8_E4M3; expected one of"),
        ({"a": entry("F32", [10**12], 0, 8)}, "a lacks a dtype, a shape and data_offsets that"),
        ({"a": entry("F32", [-1, -2], 0, 8)}, "a lacks"),
        ({"a": entry("F32", [2.0], 0, 8)}, "a lacks"),
        ({"a": entry("F32", [2], -8, 0)}, "a lacks"),
        ({"a": entry(["F32"], [2], 0, 8)}, "a lacks"),
        ({"a": 3}, "a lacks"),
        ({"a": entry("F32", [10**12], 0, 4 * 10**12)}, "would take 4000000000000 bytes, it has 8"),
        ({"a": entry("F32", [1], 0, 4)}, "would take 4 bytes, it has 8"),
        ({"a": entry("F32", [1], 4, 8)}, "a begins at byte 4, expected 0"),
        ({"a": entry("F64", [1], 0, 8), "b": entry("F64", [1], 0, 8)}, "b begins at byte 0, exp"),
    ],
)
def test_headers_that_do_not_fit_are_refused(header, message, tmp_path):
    path = write(tmp_path / "x.safetensors", header, bytes(8))
    with pytest.raises(ValueError, match=f"x.safetensors.*{message}"):
        safetensors.load(path)


@pytest.mark.parametrize("content", [b"", b"abc", (10**18).to_bytes(8, "little") + b"{}"])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="is no safetensors file: its header would have"):
        safetensors.load(tmp_path / "x.safetensors")
