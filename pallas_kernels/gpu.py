"""Which kernels can run here: the GPU that JAX sees, or the Pallas interpreter.

With PALLAS_KERNELS_INTERPRET=1 in the environment, Pallas kernels that are asked for by name run in
the interpreter, on any machine. That is slow, and checks them without a GPU.
"""

import os

import jax


def interpreting() -> bool:
    """Whether Pallas kernels run in the interpreter."""
    return os.environ.get("PALLAS_KERNELS_INTERPRET") == "1"


def device() -> jax.Device:
    """The device that JAX computes on by default in this process."""
    chosen = getattr(jax.config, "jax_default_device", None)
    if chosen is None or isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen


def present() -> bool:
    """Whether `device` is a GPU."""
    return device().platform == "gpu"


def require(capability: tuple[int, int]) -> None:
    """Checks that this process computes on an NVIDIA GPU that kernels can be compiled for.

    Args:
        capability: the least compute capability, (major, minor).

    Raises:
        NotImplementedError: there is none; the message says what was found.
    """
    least = ".".join(map(str, capability))
    if not present():
        raise NotImplementedError(
            f"needs an NVIDIA GPU of compute capability {least} or newer; JAX computes on "
            f"{device().platform} here"
        )
    found = getattr(device(), "compute_capability", "")
    major, _, minor = str(found).partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise NotImplementedError(f"needs an NVIDIA GPU; JAX found {device().device_kind}")
    if (int(major), int(minor)) < capability:
        raise NotImplementedError(
            f"needs compute capability {least} or newer; {device().device_kind} has {found}"
        )
