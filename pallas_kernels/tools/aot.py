"""Compiles GPU kernels to machine code without a GPU, and reads what the code needs and does.

    for kernel in compile_for("sm_90a", f, jax.ShapeDtypeStruct((64,), jnp.float32)):
        print(kernel.name, kernel.registers, kernel.spill_bytes, len(kernel.instructions))

XLA, Mosaic and Triton all hand their PTX to `ptxas`. A script of that name stands first on PATH: it
calls the real one, and keeps every cubin and its resource report. Needed are `ptxas` and `nvdisasm`
(on PATH, or from the packages nvidia-cuda-nvcc and nvidia-cuda-nvdisasm, or triton), and for
`compile_for` jax-cuda13-plugin and jax-cuda13-pjrt of jax's version.
"""

import atexit
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pallas_kernels.tools import sass


class Device(NamedTuple):
    """What XLA has to know of a GPU."""

    kind: str
    capability: tuple[int, int]
    cores: int
    fpus_per_core: int
    gigahertz: float
    memory_bytes: int
    memory_bytes_per_second: int
    l2_bytes: int
    shared_bytes_per_core: int

    @property
    def config(self) -> str:
        """As the text of XLA's GpuTargetConfigProto."""
        major, minor = self.capability
        return f"""
            gpu_device_info {{
                cuda_compute_capability {{ major: {major} minor: {minor} }}
                core_count: {self.cores}
                fpus_per_core: {self.fpus_per_core}
                clock_rate_ghz: {self.gigahertz}
                device_memory_size: {self.memory_bytes}
                memory_bandwidth: {self.memory_bytes_per_second}
                l2_cache_size: {self.l2_bytes}
                shared_memory_per_core: {self.shared_bytes_per_core}
                shared_memory_per_block_optin: {self.shared_bytes_per_core - 1024}
                shared_memory_per_block: 49152
                threads_per_block_limit: 1024
                threads_per_core_limit: 2048
                threads_per_warp: 32
                registers_per_core_limit: 65536
                registers_per_block_limit: 65536
                block_dim_limit_x: 2147483647
                block_dim_limit_y: 65535
                block_dim_limit_z: 65535
            }}
            platform_name: "CUDA"
            device_description_str: "{self.kind}"
            runtime_version {{ major: 13 minor: 0 patch: 0 }}
            dnn_version_info {{ major: 9 minor: 10 }}
        """


DEVICES = {
    "sm_90a": Device(
        "NVIDIA H200", (9, 0), 132, 128, 1.98, 150754820096, 4_800_000_000_000, 60 << 20, 228 << 10
    ),
    "sm_80": Device(
        "NVIDIA A100-SXM4-80GB",
        (8, 0),
        108,
        64,
        1.41,
        80 << 30,
        2_039_000_000_000,
        40 << 20,
        164 << 10,
    ),
}
"""The GPU that stands for each architecture."""


class Kernel(NamedTuple):
    """One kernel's machine code and what a block of it needs."""

    name: str
    architecture: str
    registers: int
    """Of a thread."""
    spill_bytes: int
    """Stored and loaded by a thread because registers ran out."""
    shared_bytes: int
    """Of a block: static, and dynamic where XLA or Mosaic launches the kernel."""
    instructions: Sequence[sass.Instruction]


def missing() -> str | None:
    """What keeps `compile_for` from working here, or None."""
    version = jax.__version__
    if find_spec("jax_plugins") is None or find_spec("jax_plugins.xla_cuda13") is None:
        return f"jax-cuda13-plugin=={version} and jax-cuda13-pjrt=={version} are not installed"
    return next((f"{x} was not found" for x in ("ptxas", "nvdisasm") if not _tool(x)), None)


def ptxas_version() -> str:
    """Of the compiler that is used."""
    text = subprocess.check_output([_tool("ptxas"), "--version"], text=True)
    return text.split("release ")[1].split(",")[0]


def compile_for(architecture: str, function: Callable, *arguments: Any) -> list[Kernel]:
    """Compiles a function of arrays of the given shapes for a GPU that need not be here.

    Args:
        architecture: a name in `DEVICES`.
        function: what jax.jit takes.
        arguments: pytrees of jax.ShapeDtypeStruct.

    Returns:
        The Pallas kernels in it; those that XLA makes of the operations around them are left out.

    Raises:
        RuntimeError: something is not installed, see `missing`.
        Exception: the function does not compile: what Pallas, XLA or ptxas raises.
    """
    if reason := missing():
        raise RuntimeError(reason)
    device, lowering = _target(architecture)
    sharding = jax.sharding.SingleDeviceSharding(device)
    arguments = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), arguments
    )
    with recorded_kernels() as kernels:
        with lowering():
            fresh = jax.jit(lambda *x: function(*x))  # what jax.jit has cached compiles nothing
            lowered = fresh.trace(*arguments).lower(lowering_platforms=("cuda",))
        options = {
            "xla_gpu_autotune_level": 0,
            "xla_dump_to": str(_folder()),
            # Where XLA looks for ptxas before PATH, if CUDA is installed as a package.
            "xla_gpu_cuda_data_dir": str(_folder()),
        }
        lowered.compile(options)
    triton = re.findall(r'@__gpu\$xla\.gpu\.triton\(.*?\bname = "(\w+)"', lowered.as_text())
    ours = re.compile(rf"({'|'.join(triton)})(_+\d+)?|\w+_mosaic_gpu_kernel")
    return [kernel for kernel in kernels if ours.fullmatch(kernel.name)]


def compile_triton(
    architecture: str,
    kernel: Any,
    dtypes: Sequence[Any],
    constants: dict[str, Any],
    warps: int,
) -> list[Kernel]:
    """Compiles a kernel of Triton proper, as jax-triton would.

    Args:
        architecture: a name in `DEVICES`.
        kernel: a triton.jit function of arrays and constants.
        dtypes: of the arrays.
        constants: the other arguments, by name.
        warps: of a block.

    Returns:
        The kernel, alone in a list.

    Raises:
        ModuleNotFoundError: triton is not installed.
        RuntimeError: something is not installed, see `missing`.
        Exception: the kernel does not compile: what Triton or ptxas raises.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if reason := missing():
        raise RuntimeError(reason)
    short = {"float32": "*fp32", "bfloat16": "*bf16", "int32": "*i32"}
    arrays = [name for name in kernel.arg_names if name not in constants]
    signature = dict.fromkeys(kernel.arg_names, "constexpr")
    signature |= {x: short[jnp.dtype(y).name] for x, y in zip(arrays, dtypes, strict=True)}
    aligned = {(kernel.arg_names.index(x),): [["tt.divisibility", 16]] for x in arrays}
    source = ASTSource(kernel, signature, constants, aligned)
    major, minor = DEVICES[architecture].capability
    target = GPUTarget("cuda", 10 * major + minor, 32)
    with recorded_kernels() as kernels:
        compiled = triton.compile(source, target, {"num_warps": warps, "num_stages": 1})
    return [x._replace(shared_bytes=compiled.metadata.shared) for x in kernels]


@contextmanager
def recorded_kernels() -> Iterator[list[Kernel]]:
    """Yields a list that holds, after the context, all kernels that were compiled in it."""
    import_module("jax.experimental.mosaic.gpu")  # sets MOSAIC_GPU_CUDA_ROOT, replaced below
    kernels: list[Kernel] = []
    folder = _folder()
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
    environment = {
        "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}",
        "MOSAIC_GPU_CUDA_ROOT": str(folder),
        "MOSAIC_GPU_DUMP_TO": str(folder),  # its passes say how much shared memory it asks for
        "TRITON_PTXAS_PATH": str(folder / "bin" / "ptxas"),
        "TRITON_PTXAS_BLACKWELL_PATH": str(folder / "bin" / "ptxas"),  # Triton 3.9: from Hopper on
        "TRITON_ALWAYS_COMPILE": "1",
    }
    with _environment(environment):
        yield kernels
    shared = _dynamic_shared(folder)
    for cubin in sorted(folder.glob("*.cubin"), key=lambda path: path.stat().st_mtime_ns):
        kernels += _read(cubin, shared)


@functools.cache
def _target(architecture):
    """The absent device, and a context in which functions are lowered for it."""
    from jax.experimental import topologies

    device = DEVICES[architecture]
    with _environment({"JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1"}):
        topology = topologies.get_topology_desc(
            topology_name="", platform="cuda", target_config=device.config, topology="1x1x1"
        )
    kind = jax.sharding.AbstractDevice(
        device_kind=device.kind, num_cores=device.cores, platform="gpu"
    )
    mesh = jax.sharding.AbstractMesh((), (), abstract_device=kind)
    return topology.devices[0], lambda: jax.sharding.use_abstract_mesh(mesh)


@functools.cache
def _folder():
    """A folder of this process, with a `ptxas` in bin/ that leaves there what it makes."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "nvdisasm").symlink_to(_tool("nvdisasm"))
    recorder = folder / "bin" / "ptxas"
    recorder.write_text(f"""#!/bin/sh
        for word; do test "$previous" = -o && output=$word; previous=$word; done
        test "$output" || exec {_tool("ptxas")} "$@"
        {_tool("ptxas")} -v "$@" 2> {folder}/$$.report
        code=$?
        cat {folder}/$$.report >&2
        test $code = 0 && cp "$output" {folder}/$$.cubin
        exit $code
    """)
    recorder.chmod(0o700)
    return folder


def _read(cubin, shared):
    """The kernels of a cubin, with what ptxas reported of them."""
    report = cubin.with_suffix(".report").read_text()
    disassembled = subprocess.check_output([_tool("nvdisasm"), "-c", cubin], text=True)
    code = sass.parse(disassembled)
    for entry in report.split("Compiling entry function ")[1:]:
        _, name, _, architecture, entry = entry.split("'", 4)
        spills, registers, static = (
            sum(map(int, re.findall(pattern, entry)))
            for pattern in (r"(\d+) bytes spill", r"Used (\d+) reg", r"(\d+) bytes smem")
        )
        yield Kernel(
            name=name,
            architecture=architecture,
            registers=registers,
            spill_bytes=spills,
            shared_bytes=static + shared.get(name, 0),
            instructions=code[name],
        )


def _dynamic_shared(folder):
    """Bytes of shared memory that XLA and Mosaic ask for at launch, by the kernel's name."""
    shared: dict[str, int] = {}
    for path in folder.glob("*.thunk_sequence.txt"):
        found = re.findall(r"(\w+) grid: .* shared_memory: (\d+) bytes", path.read_text())
        shared |= {name: int(size) for name, size in found}
    for path in folder.glob("*.mlir-passes.log"):
        launch = r"@(\w+_mosaic_gpu_kernel) blocks in .* dynamic_shared_memory_size %c(\d+)_i32"
        shared |= {name: int(size) for name, size in re.findall(launch, path.read_text())}
    return shared


def _tool(name):
    """Where one of NVIDIA's tools is, or None."""
    folders = os.environ["PATH"].split(os.pathsep)
    for package, inside in (("nvidia", "cu13/bin"), ("triton", "backends/nvidia/bin")):
        spec = find_spec(package)
        folders += [f"{x}/{inside}" for x in (spec and spec.submodule_search_locations) or ()]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return found and Path(found)


@contextmanager
def _environment(variables):
    """Sets environment variables, and puts back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
