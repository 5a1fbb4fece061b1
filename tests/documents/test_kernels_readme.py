import re
from pathlib import Path

README = Path(__file__).parents[2] / "pallas_kernels" / "README.md"


def test_snippets_run():
    snippets = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(snippets) == 4
    exec("\n".join(snippets), {})


def test_linked_files_exist():
    links = re.findall(r"\]\(([^)]+)\)", README.read_text())
    assert links
    assert all((README.parent / link).exists() for link in links)
