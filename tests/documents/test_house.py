"""The house itself: which way imports run, and that what is installed is what is here."""

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The parts of pdr_jax that belong to the command line, and so may open data sets.
COMMAND_LINE = {
    "cli", "demo", "evaluate", "imports", "predict", "protocols", "results", "run", "run_folder",
    "scoreboard",
}  # fmt: skip


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def files(folder):
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


# What the optional packages are needed to import: the kernels in Triton proper, and PyTorch's row.
MODULES = [
    path
    for path in sorted((ROOT / "pallas_kernels").rglob("*.py"))
    if "jax_triton_kernels" not in path.parts and path.stem != "bench_torch"
]


def test_kernels_need_jax_and_numpy_only():
    allowed = {"jax", "numpy", "pallas_kernels", *sys.stdlib_module_names}
    optional = {"triton", "jax_triton", "torch"}
    for path in files("pallas_kernels"):
        assert set(imports(path)) <= allowed | optional, path
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in sorted(optional))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    run = f"import sys, importlib; {blocked}[importlib.import_module(m) for m in {modules!r}]"
    subprocess.run([sys.executable, "-c", run], check=True)


def test_models_and_losses_do_not_import_data_sets_or_experiments():
    for path in files("pdr_jax"):
        found = set(imports(path))
        assert "experiments" not in found, path
        if path.stem not in COMMAND_LINE:
            assert "pdr_datasets" not in found, path


def test_data_sets_import_neither_models_nor_kernels():
    for path in files("datasets/pdr_datasets"):
        assert not {"pdr_jax", "pallas_kernels", "experiments"} & set(imports(path)), path


def test_the_outer_datasets_folder_is_no_package():
    assert not (ROOT / "datasets/__init__.py").exists()


def test_the_wheel_works_beside_a_package_called_datasets(tmp_path):
    """Built, installed into an empty environment, and used next to Hugging Face's name."""
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


@pytest.mark.parametrize("name", ["README.md", "datasets/README.md", "CONTRIBUTING.md"])
def test_documents_name_files_that_exist(name):
    """Every relative link leads somewhere."""
    text = (ROOT / name).read_text()
    for part in text.split("](")[1:]:
        target = part.partition(")")[0].partition("#")[0]
        if target and "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target
