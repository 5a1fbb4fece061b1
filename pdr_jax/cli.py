"""The command line: `pdr train`, `eval`, `predict`, `models`, `data` and others.

A run's settings come from its recipe, then from the command line; what results is printed in full
at the start and stored beside the run.
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape

import pdr_datasets
from pdr_jax import predict as prediction
from pdr_jax import recipes, report, results, run, scoreboard
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.demo import demo
from pdr_jax.interop import configurations, exports, imports
from pdr_jax.log import ProgressLine
from pdr_jax.models import models
from pdr_jax.options import parse_option
from pdr_jax.recipes import Protocol, Recipe
from pdr_jax.run_folder import protocol_note, recorded_dataset

EXAMPLES = """
examples:
  pdr demo                                          a plain predictor and PDR, side by side
  pdr models simvp_moga                             a predictor's card
  pdr data prepare kth --manual-dir ~/kth           from the official .avi files
  pdr train kth --backbone tau --adapter predgs --loss l1_ssim
  pdr train --resume runs/kth-tau-predgs-l1_ssim-seed0
  pdr eval runs/kth-tau-predgs-l1_ssim-seed0
  pdr predict runs/kth-tau-predgs-l1_ssim-seed0 clips.npy future.npy --gif future.gif
  pdr import-openstl checkpoint.pth --out runs/theirs --dataset kth --config SimVP_gSTA.py
  pdr train kth --init-from runs/theirs --adapter predgs
  pdr export-openstl runs/theirs --out theirs.pth
"""


@dataclasses.dataclass(frozen=True)
class _CommandLineRecipe(Recipe):
    """A recipe whose data set needs no option's name: `pdr train kth`."""

    dataset: tyro.conf.Positional[str]


def main(argv: list[str] | None = None) -> None:
    """Runs a command; bad input ends it with a message and exit status 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        tyro.extras.subcommand_cli_from_dict(
            {
                "train": _train_command(argv),
                "eval": scoreboard.evaluate,
                "predict": predict,
                "import-openstl": import_openstl,
                "export-openstl": export_openstl,
                "models": models,
                "demo": demo,
                "data": data,
            },
            prog="pdr",
            description="Predictive Differentiable Rendering for video prediction.\n" + EXAMPLES,
            args=argv,
        )
    except (ValueError, TypeError, OSError, ImportError, run.DivergedError) as error:
        message = f"[bold red]error:[/] {escape(str(error))}"
        Console(stderr=True).print(message, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; a run continues from its last checkpoint: pdr train --resume FOLDER")
        sys.exit(130)


def _train_command(argv: list[str]) -> Any:
    """`train`, with the recipe that the command line names as the default of every option."""
    recipe = _named_recipe(argv[1:]) if argv[:1] == ["train"] else recipes.create("moving_sprites")
    named = _CommandLineRecipe(**vars(recipe))
    options = tyro.conf.arg(name="", prefix_name=False)

    def train(
        recipe: Annotated[_CommandLineRecipe, options] = named,
        out: Path | None = None,
        resume: Path | None = None,
    ) -> None:
        """Train a predictor, with or without PDR, and leave a run folder.

        Args:
            recipe: Everything that defines the run.
            out: The run's folder; by default runs/ and what the run is made of.
            resume: A run folder to continue; its own recipe is used, and no other option.
        """
        settings = Recipe(**vars(recipe))
        if resume is not None:
            option, *rest = [*argv[1].split("=", 1), *argv[2:]]
            if option != "--resume" or len(rest) > 1:
                raise ValueError(
                    "--resume takes no other option: the run goes on as it began; for other "
                    "settings start another with --init-from"
                )
            settings = run.read_recipe(resume)
        elif settings.dataset != named.dataset:
            raise ValueError(
                f"dataset={settings.dataset!r}, but {named.dataset!r} was taken for it: give the "
                f"data set before all options, pdr train {settings.dataset} ..."
            )
        out = resume or out or default_folder(settings)
        if resume is None:
            run.check_vacant(out, settings)
        dataset = run.open_dataset(settings)
        task = run.load_task(settings, dataset)
        _, _, steps, per_epoch = run.optimizer(settings, len(task.train))
        origin = settings.init_from
        notes = (
            dataset.note,
            protocol_note(Path(origin), settings) if origin and resume is None else "",
            settings.sampling_note(steps, per_epoch),
            run.output_note(task),
        )
        print(json.dumps(settings.to_json(), indent=2))
        print(f"run folder: {out}")
        for note in filter(None, notes):
            print(f"note: {note}")
        if resume is not None and run.is_imported(resume):
            print(f"continues from imported weights: {steps} steps of the recipe's schedule")
        with ProgressLine(settings.label) as progress:
            run.fit(settings, out, dataset=dataset, resume=resume is not None, report=progress)
        finish(out)

    return train


def _named_recipe(argv: list[str]) -> Recipe:
    """The published recipe for the data set, backbone, adapter and loss that are asked for.

    One that starts from a run has that run's backbone with its options and its `in_length`, and on
    the same data set also its protocol and what else says which clips those are.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--backbone", "--adapter", "--loss"):
        parser.add_argument(option)
    parser.add_argument("--init-from", "--init_from")
    known, rest = parser.parse_known_args(argv)
    words = [word for word in rest[:1] if not word.startswith("-")]
    words += [word for word in rest if word in BENCHMARKS]
    dataset = words[0] if words else ""
    chosen = {name: value for name, value in vars(known).items() if value is not None}
    if "init_from" in chosen:
        origin = run.read_recipe(Path(chosen["init_from"]))
        dataset = dataset or origin.dataset
        if chosen.setdefault("backbone", origin.backbone) != origin.backbone:
            raise ValueError(
                f"backbone={chosen['backbone']!r}: {chosen['init_from']}, to start from, has "
                f"{origin.backbone!r}; leave out --backbone"
            )
        same = dataset == origin.dataset
        clips = (*recipes.CLIP_FIELDS, "protocol") if same else ("in_length",)
        chosen |= {name: getattr(origin, name) for name in ("backbone_options", *clips)}
    return recipes.create(dataset or "moving_sprites", **chosen)


def default_folder(recipe: Recipe) -> Path:
    """runs/DATASET-BACKBONE-ADAPTER-LOSS-seedN, with the protocol if it is not "standard".

    And with the run that it starts from.
    """
    parts = [recipe.dataset, recipe.backbone, recipe.adapter, recipe.loss]
    parts += [recipe.protocol] if recipe.protocol != "standard" else []
    parts += [f"from-{Path(recipe.init_from).name}"] if recipe.init_from else []
    return Path("runs") / "-".join((*parts, f"seed{recipe.seed}"))


def finish(folder: Path) -> None:
    """Evaluates the best checkpoint, writes metrics.json and pictures, and says where they are.

    Without test and held-out clips there are no figures, but pictures of a training clip.
    """
    recipe, task, state = run.load(folder)
    if task.test is None and task.holdout is None:
        print(f"no figures: {recipe.dataset} has no test clips, and none are held out")
    else:
        split = "test" if task.test is not None else "holdout"
        rows = results.score(
            task,
            state.variables(),
            split=split,
            batch_size=recipe.batch_size,
            label=recipe.label,
            protocol=recipe.protocol,
        )
        described = scoreboard.describe(folder, task, recipe, split=split, checkpoint="best")
        run.write_json(folder / "metrics.json", {**described, "rows": rows})
        results.print_table(rows, title=scoreboard.title(described))
    try:
        pictures = results.draw(task, state.variables(), folder)
        report.save_curves(folder / "loss.png", {recipe.label: folder / "metrics.jsonl"})
    except ImportError as error:
        print(f"no pictures: {error}")
    else:
        print("pictures: " + ", ".join(str(path) for path in (*pictures, folder / "loss.png")))


def predict(
    run_folder: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[Path],
    target: tyro.conf.Positional[Path],
    horizon: int | None = None,
    batch_size: int = 16,
    gif: Path | None = None,
) -> None:
    """Predict the frames that follow; no ground truth needed.

    Args:
        run_folder: What `pdr train` left.
        source: .npy of (N, T, H, W, C) or (T, H, W, C) frames in the data set's units.
        target: .npy for the predicted frames.
        horizon: Frames to predict, if not as many as in training.
        batch_size: Clips at a time.
        gif: Also writes the first clip, observed and predicted, as a GIF.
    """
    frames = prediction.read_frames(source)
    prediction.prepare_outputs(source, target, gif)
    _, task, state = run.load(run_folder, dataset=recorded_dataset(run_folder))
    for remark in prediction.remarks(task, frames):
        print(remark)
    future = prediction.predict_array(
        task, state.variables(), frames, horizon=horizon, batch_size=batch_size
    )
    prediction.write_frames(target, future)
    print(f"{target}: {future.dtype} {future.shape}")
    if gif is not None:
        results.draw_prediction(task, source, future, gif)
        print(gif)


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

    The model and its sizes are read from the weights as far as these tell.

    Args:
        checkpoint: OpenSTL's or PredFormer's .pth, Lightning's .ckpt, or an .npz of a state dict.
        out: The run's folder.
        config: The configuration, OpenSTL's .py (which is not run) or model_param.json.
        settings: Single entries of it: name value name value ...
        dataset: The data set, if the checkpoint does not say; "arrays" for a file of yours.
        data_options: Options of its loader: name value name value ...
        data_dir: Where prepared data sets lie.
        in_length: Observed frames.
        out_length: Frames to predict.
        protocol: Which clips are for testing: those of OpenSTL, or of "standard", some of which it
            may have been trained on.
    """
    hints = imports.Hints(
        config=configurations.read(config) if config else {},
        settings={k: parse_option(v) for k, v in (settings or {}).items()},
        dataset=dataset,
        data_options={k: parse_option(v) for k, v in (data_options or {}).items()},
        data_dir=data_dir,
        in_length=in_length,
        out_length=out_length,
        protocol=protocol,
    )
    described = imports.import_run(checkpoint, out, hints)
    imported = dict(described["imported"])
    sources = imported.pop("sources")
    print(json.dumps(imported, indent=2))
    for source, values in sources.items():
        print(f"{source}: {', '.join(f'{name} = {value}' for name, value in values.items())}")
    if described["note"]:
        print(f"note: {described['note']}")
    print(f"run folder: {out}")


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


def data(
    command: tyro.conf.Positional[Literal["list", "info", "prepare"]],
    name: tyro.conf.Positional[str] = "",
    manual_dir: str | None = None,
    data_dir: Path | None = None,
    config: str | None = None,
) -> None:
    """List the data sets, show one's card, or prepare one.

    Args:
        command: What to do.
        name: A data set, for info and prepare.
        manual_dir: Where the official files lie, for data sets that must be fetched by hand
            (weatherbench: or a URL).
        data_dir: Where prepared data sets go.
        config: The variant to prepare; the benchmark's by default.
    """
    if command == "list":
        for known in pdr_datasets.names():
            first_paragraph = " ".join(pdr_datasets.info(known).split("\n\n")[1].split())
            print(f"{known:<16}{first_paragraph.partition('. ')[0].rstrip('.')}")
    elif not name:
        known = ", ".join(pdr_datasets.names())
        raise ValueError(f"name is missing: pdr data {command} NAME, with one of {known}")
    elif command == "info":
        print(pdr_datasets.info(name))
    else:
        start = time.time()
        path = pdr_datasets.prepare(
            name, data_dir=data_dir, manual_dir=manual_dir, config=config, progress=True
        )
        if (path / "dataset_info.json").stat().st_mtime < start:
            print(f"prepared before: {path}; remove that folder to build it anew")
        else:
            print(f"prepared: {path}")
        if note := pdr_datasets.load(name, data_dir=data_dir, config=path.parent.name).note:
            print(f"note: {note}")


if __name__ == "__main__":
    main()
