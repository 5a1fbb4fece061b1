"""Runs kernels of Triton proper in Triton's interpreter, on the CPU.

Triton chooses its interpreter where it is first imported, so such tests run in a process of their
own: `run` starts it where triton is installed.
"""

import os
import subprocess
import sys
from unittest import mock

import jax
import numpy as np
import pytest

from pallas_kernels import gpu, jax_triton_call

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

interpreted = pytest.mark.skipif(
    not INTERPRETED,
    reason="needs TRITON_INTERPRET=1 from the start: where triton is installed, "
    "test_kernels_in_tritons_interpreter starts it",
)
not_interpreted = pytest.mark.skipif(INTERPRETED, reason="would start itself")


def run(file):
    """Runs the tests of a file whose names have "kernels_match" in them."""
    pytest.importorskip("triton", minversion="3.9")  # that of 3.6 does not run with NumPy 2.5
    # Without conftest.py, which wraps all functions: Triton reads their code.
    choice = ["--noconftest", "-k", "kernels_match", file]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *choice]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def use(monkeypatch, *modules):
    """Lets the launches of these modules run in the interpreter."""
    monkeypatch.setattr(gpu, "require", lambda capability: None)
    monkeypatch.setattr(jax_triton_call, "_package", lambda: None)
    for module in modules:
        monkeypatch.setattr(module, "call", interpret)


def interpret(launch, arrays, out):
    """What `jax_triton_call.call` does, as a callback."""
    from triton.runtime import interpreter

    multiply = interpreter.InterpreterBuilder.create_dot
    wide = interpreter.tl.float32

    def widened(self, a, b, *rest):
        # Triton 3.7's interpreter would multiply the bits of bfloat16.
        return multiply(self, self.create_fp_ext(a, wide), self.create_fp_ext(b, wide), *rest)

    def compute(*arrays):
        read = [Tensor(np.array(x)) for x in arrays]
        written = [np.zeros(x.shape, x.dtype) for x in out]
        with mock.patch.object(interpreter.InterpreterBuilder, "create_dot", widened):
            launch.kernel[launch.grid](*read, *map(Tensor, written), **launch.constants)
        return tuple(written)

    return jax.pure_callback(compute, out, *arrays)


class Tensor:
    """A NumPy array, with what Triton's interpreter asks of a tensor of torch.

    It asks for the tensor's storage and a copy on the host; here all of them are the array.
    """

    def __init__(self, array):
        self.array, self.dtype = array, array.dtype.name

    def data_ptr(self):
        return self.array.ctypes.data

    def untyped_storage(self):
        return self

    def cpu(self):
        return self

    def new_empty(self, size, device):
        return self

    def set_(self, storage, offset, size, stride):
        pass

    def storage_offset(self):
        return 0

    def size(self):
        return self.array.shape

    def stride(self):
        return self.array.strides

    def copy_(self, storage):
        pass
