"""The layout of the project: which way imports run, what a wheel installs, links in documents."""

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import jax.numpy as jnp
import jaxtyping
import pytest

from pdr_jax import metrics

ROOT = Path(__file__).parents[2]
# The rooms of pdr_jax, in order. A room imports from itself and from earlier rooms only.
ROOMS = (
    "pdr_jax.base",
    "pdr_jax.backbones",
    "pdr_jax.model",
    "pdr_jax.predgs",
    "pdr_jax.diffusion",
    "pdr_jax.metrics",
    "pdr_jax.report",
    "pdr_jax.interop",
    "pdr_jax.benchmarks",
    "pdr_jax.recipes",
    "pdr_jax.task",
    "pdr_jax.evaluation",
    "pdr_jax.runs",
    "pdr_jax.commands",
)
# The flat files of pdr_jax belong to the room "pdr_jax.model", except these.
APART = {
    "arrays": "pdr_jax.base",
    "files": "pdr_jax.base",
    "processes": "pdr_jax.base",
    "sharding": "pdr_jax.base",
    "torch_files": "pdr_jax.base",
    "warp": "pdr_jax.base",
    "zip_files": "pdr_jax.base",
    "task": "pdr_jax.task",
}
OPEN_DATA_SETS = ROOMS[ROOMS.index("pdr_jax.task") :]


def imports(path):
    """The full names that a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name):
    """The room of a module, by its full name; for other packages, the package."""
    package, *parts = name.split(".")
    if package != "pdr_jax" or not parts:
        return package
    if (ROOT / "pdr_jax" / parts[0]).is_dir():
        return f"pdr_jax.{parts[0]}"
    return APART.get(parts[0], "pdr_jax.model")


def files(folder):
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


def packages(path):
    return {name.split(".")[0] for name in imports(path)}


# The modules that need no optional package: all but the Triton kernels and the PyTorch benchmark.
MODULES = [
    path
    for path in sorted((ROOT / "pallas_kernels").rglob("*.py"))
    if "jax_triton_kernels" not in path.parts and path.stem != "bench_torch"
]


def test_kernels_need_jax_numpy_and_jaxtyping_only():
    allowed = {"jax", "jaxtyping", "numpy", "pallas_kernels", *sys.stdlib_module_names}
    optional = {"triton", "jax_triton", "torch"}
    for path in files("pallas_kernels"):
        assert packages(path) <= allowed | optional, path
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in sorted(optional))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    run = f"import sys, importlib; {blocked}[importlib.import_module(m) for m in {modules!r}]"
    subprocess.run([sys.executable, "-c", run], check=True)


def test_users_of_the_kernels_import_no_tools():
    for path in files("pallas_kernels"):
        if "tools" not in path.parts and path.stem not in ("bench", "tune"):
            assert not [name for name in imports(path) if name.startswith("pallas_kernels.tools")]


@pytest.mark.parametrize("path", files("pdr_jax"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if path == ROOT / "pdr_jax/__init__.py":
        here = "pdr_jax.metrics"  # it exports the model and the metrics
    allowed = ROOMS[: ROOMS.index(here) + 1]
    for name in imports(path):
        if name.startswith("pdr_jax."):
            assert room(name) in allowed, f"{here} imports {name}"
        assert not name.startswith("experiments"), name
        if name.startswith("pdr_datasets"):
            assert here in OPEN_DATA_SETS, f"{here} imports {name}"


def test_data_sets_import_neither_models_nor_kernels():
    for path in files("datasets/pdr_datasets"):
        assert not {"pdr_jax", "pallas_kernels", "experiments"} & packages(path), path


def test_shapes_are_checked_under_pytest():
    with pytest.raises(jaxtyping.TypeCheckError):
        metrics.gradient_magnitude(jnp.zeros((4, 5)))


def test_no_test_imports_from_another():
    for path in files("tests"):
        parts = {part for name in imports(path) for part in name.split(".")[:-1]}
        assert not [part for part in parts if part.startswith("test_")], path


def test_the_outer_datasets_folder_is_no_package():
    assert not (ROOT / "datasets/__init__.py").exists()


@pytest.mark.rest
def test_the_wheel_works_beside_a_package_called_datasets(tmp_path):
    """`datasets` is also the name of Hugging Face's package: both can be installed."""
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    # The dependencies are those of this environment; copying them would take minutes.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (site / "datasets").mkdir()
    (site / "datasets/__init__.py").write_text("NAME = 'not ours'\n")
    code = (
        "import datasets, pallas_kernels, pdr_datasets, pdr_jax\n"
        "assert datasets.NAME == 'not ours'\n"
        "print(*(m.__file__ for m in (pallas_kernels, pdr_datasets, pdr_jax)))\n"
    )
    out = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert all(str(site) in path for path in out.stdout.split())
    out = subprocess.run(
        [tmp_path / "venv/bin/pdr", "--help"], capture_output=True, text=True, cwd=tmp_path
    )
    assert out.returncode == 0, out.stderr
    for command in ("train", "eval", "predict", "demo", "data"):
        assert command in out.stdout


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "datasets/README.md",
        "experiments/README.md",
        "pallas_kernels/README.md",
        "pdr_jax/backbones/README.md",
        "pdr_jax/interop/README.md",
    ],
)
def test_documents_name_files_that_exist(name):
    """Every relative link leads somewhere."""
    text = (ROOT / name).read_text()
    for part in text.split("](")[1:]:
        target = part.partition(")")[0].partition("#")[0]
        if target and "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target
