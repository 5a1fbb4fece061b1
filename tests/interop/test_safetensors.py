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
        (b"{", "invalid JSON in header"),
        (b"\xff", "invalid UTF-8 in header"),
        (b"[" * 100_000, "invalid JSON in header"),
        (b"[1]", "invalid JSON in header"),
        ({"a": entry("F8_E4M3", [8], 0, 8)}, "a has the type F8_E4M3; expected one of"),
        ({"a": entry("F33", [2], 0, 8)}, "F33"),
        ({"a": entry("F32", [10**12], 0, 8)}, "invalid shape, data type, or offset"),
        ({"a": entry("F32", [0, 10**18, 10**18], 0, 0), "b": entry("F64", [1], 0, 8)}, "too big"),
        ({"a": entry("F32", [-1, -2], 0, 8)}, "invalid value: integer `-1`"),
        ({"a": entry("F32", [2.0], 0, 8)}, "invalid type: floating point"),
        ({"a": entry("F32", [2], -8, 0)}, "invalid value: integer `-8`"),
        ({"a": entry(["F32"], [2], 0, 8)}, "invalid type: sequence"),
        ({"a": 3}, "invalid type: integer `3`"),
        ({"a": entry("F32", [10**12], 0, 4 * 10**12)}, "file not fully covered"),
        ({"a": entry("F32", [1], 0, 4)}, "file not fully covered"),
        ({"a": entry("F32", [1], 4, 8)}, "invalid offset for tensor `a`"),
        ({"a": entry("F64", [1], 0, 8), "b": entry("F64", [1], 0, 8)}, "invalid offset for tensor"),
    ],
)
def test_headers_that_do_not_fit_are_refused(header, message, tmp_path):
    path = write(tmp_path / "x.safetensors", header, bytes(8))
    with pytest.raises(ValueError, match=f"x.safetensors.*{message}"):
        safetensors.load(path)


@pytest.mark.parametrize("content", [b"", b"abc", (10**18).to_bytes(8, "little") + b"{}"])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x.safetensors cannot be read as safetensors: .*head"):
        safetensors.load(tmp_path / "x.safetensors")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.safetensors"):
        safetensors.load(tmp_path / "x.safetensors")


def test_written_arrays_come_back_bit_for_bit(tmp_path):
    odd = np.array([np.nan, -0.0, np.inf, 1e-42], np.float32)  # NaN, signed zero, a subnormal
    arrays = {
        "odd": odd,
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "every second": np.arange(8, dtype=np.int32)[::2],
        "big endian": np.arange(3, dtype=">f4"),
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((0, 4), np.float16),
        "bool": np.array([True, False]),
        **{name: np.arange(3, dtype=name) for name in ("u1", "u2", "u4", "u8", "i1", "i2", "f8")},
    }
    safetensors.save(tmp_path / "x.safetensors", arrays)
    found = safetensors.load(tmp_path / "x.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].shape, found[name].dtype) == (
            array.shape,
            array.dtype.newbyteorder("="),
        )
        assert found[name].tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes(), name
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
