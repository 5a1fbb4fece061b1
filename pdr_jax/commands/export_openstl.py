"""`pdr export-openstl`."""

from pathlib import Path

import tyro

from pdr_jax.commands.progress import working
from pdr_jax.runs import openstl_export


def export_openstl(
    run_folder: tyro.conf.Positional[Path], out: Path, backbone_only: bool = False
) -> None:
    """Write a run's backbone as a state dict that the public PyTorch code loads.

    Args:
        run_folder: A run folder.
        out: A new .pth file, or .npz (needs no PyTorch); its configuration is written beside it
            as .json.
        backbone_only: Leaves out the adapter, which the public PyTorch code does not have.
    """
    with working(f"writing {out}"):
        config = openstl_export.write(run_folder, out, backbone_only=backbone_only)
    print(f"{out}, {out.with_suffix('.json')}: {config['method']}")
