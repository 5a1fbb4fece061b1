"""`pdr import-openstl`."""

import json
from pathlib import Path

import tyro

from pdr_jax.commands.options import parse_options
from pdr_jax.commands.progress import working
from pdr_jax.interop import configurations
from pdr_jax.recipes import Protocol
from pdr_jax.runs import imports


def import_openstl(
    checkpoint: tyro.conf.Positional[Path],
    out: Path,
    config: Path | None = None,
    settings: dict[str, str] | None = None,
    dataset: str | None = None,
    data_options: dict[str, str] | None = None,
    data_dir: Path | None = None,
    in_length: int | None = None,
    out_length: int | None = None,
    protocol: Protocol = "openstl",
) -> None:
    """Make a run folder from a checkpoint of OpenSTL or PredFormer, for eval, predict and train.

    The model and its sizes are read from the weights, as far as the weights determine them.

    Args:
        checkpoint: OpenSTL's or PredFormer's .pth, Lightning's .ckpt, or an .npz or .safetensors of
            a state dict.
        out: The run's folder.
        config: The configuration: OpenSTL's .py (which is not run) or model_param.json.
        settings: Single entries of the configuration: name value name value ...
        dataset: The data set, if the checkpoint does not say; "arrays" for a file of yours.
        data_options: Options of the data set's loader: name value name value ...
        data_dir: Where prepared data sets lie.
        in_length: Observed frames.
        out_length: Frames to predict.
        protocol: Which clips are for testing: OpenSTL's, or those of "standard"; the weights may
            have been trained on some of the latter.
    """
    for name, path in (("checkpoint", checkpoint), ("config", config)):
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"{name}={str(path)!r}: no such file")
    hints = imports.Hints(
        config=configurations.read(config) if config else {},
        settings=parse_options(settings),
        dataset=dataset,
        data_options=parse_options(data_options),
        data_dir=data_dir,
        in_length=in_length,
        out_length=out_length,
        protocol=protocol,
    )
    with working(f"importing {checkpoint}"):
        described = imports.import_run(checkpoint, out, hints)
    imported = dict(described["imported"])
    sources = imported.pop("sources")
    print(json.dumps(imported, indent=2))
    for source, values in sources.items():
        print(f"{source}: {', '.join(f'{name} = {value}' for name, value in values.items())}")
    if described["note"]:
        print(f"note: {described['note']}")
    print(f"run folder: {out}")
