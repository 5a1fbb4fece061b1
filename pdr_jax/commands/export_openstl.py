"""`pdr export-openstl`."""

from pathlib import Path

import tyro

from pdr_jax.runs import exports


def export_openstl(
    run_folder: tyro.conf.Positional[Path], out: Path, backbone_only: bool = False
) -> None:
    """Write a run's backbone as a state dict that the public PyTorch code loads.

    Args:
        run_folder: What `pdr train` left.
        out: A new file, .pth, or .npz without PyTorch; beside it comes its configuration as .json.
        backbone_only: Leaves out the adapter, for which PyTorch has no model.
    """
    config = exports.write(run_folder, out, backbone_only=backbone_only)
    print(f"{out}, {out.with_suffix('.json')}: {config['method']}")
