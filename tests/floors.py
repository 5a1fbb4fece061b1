"""The lowest version of every dependency in pyproject.toml, as pip's constraints.

python tests/floors.py > constraints.txt
"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["data"], *extras["flow"], *extras["report"]]:
    name, floor = re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement).groups()
    parts = [*floor.split("."), "0"][: max(2, floor.count(".") + 1)]
    print(f"{name}=={'.'.join(parts)}.*")
