"""Prints the test files of `make check`: those of what changed since main, and a few of everything.

A changed module's tests are the files that import it. Other tests may fail too: run `make test`.
"""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMOKE = (
    "tests/documents/test_house.py",
    "tests/kernels/test_splat2d_api.py",
    "tests/models/test_pdr.py",
    "tests/training/test_files.py",
    "tests/training/test_task.py",
    "tests/commands/test_options.py",
)


def changed() -> list[Path]:
    """Files that differ from main, or are new; on main, from the last commit."""

    def git(*arguments: str) -> list[str]:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    new = git("ls-files", "--others", "--exclude-standard")
    return [Path(name) for name in (*git("diff", "--name-only", "main"), *new)]


def module(path: Path) -> str:
    """The full name of a file's module."""
    parts = path.with_suffix("").parts
    parts = parts[1:] if parts[0] == "datasets" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """What a test imports, by full name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def main() -> None:
    """Prints the test files in one line."""
    sources = [path for path in changed() if path.suffix == ".py" and (ROOT / path).exists()]
    modules = {module(path) for path in sources}
    tests = {path for path in sources if path.name.startswith("test_")}
    for path in (ROOT / "tests").rglob("test_*.py"):
        if imported(path) & modules:
            tests.add(path.relative_to(ROOT))
    print(*sorted({*map(str, tests), *SMOKE}))


if __name__ == "__main__":
    main()
