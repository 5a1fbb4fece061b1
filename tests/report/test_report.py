"""Pictures and tables: what is in them, not only that a file appears."""

import io
import json
import re
import sys

import imageio.v3 as iio
import numpy as np
import pytest
from rich.console import Console

from pdr_jax import report
from pdr_jax.report.curves import read_curve, running_mean
from pdr_jax.report.ellipses import ellipses
from pdr_jax.report.motion import motion_colours, motion_wheel
from pdr_jax.report.style import MISSING, to_rgb
from pdr_jax.report.tracks import choose_tracks


def constant(level, frames=3, channels=1):
    return np.full((frames, 8, 6, channels), level, np.float32)


def pixels_of(picture, colour):
    """How many pixels have the colour, to within the rounding of a GIF's palette."""
    difference = np.abs(picture[..., :3].astype(int) - np.reshape(colour, (1, 1, 3)))
    return int((difference <= 1).all(-1).sum())


def test_strip_shows_each_row_in_the_same_range(tmp_path):
    path = tmp_path / "new" / "strip.png"
    report.save_strip(
        path,
        inputs=constant(0.5, frames=2),
        truth=constant(0.5),
        coarse=constant(0.75),
        rendered=constant(0.75),
        prediction=constant(0.75),
        data_range=(0.0, 1.0),
        title="constant",
    )
    picture = iio.imread(path)
    frame = pixels_of(picture, [191] * 3) / 9  # three rows of three frames; labels have few pixels
    assert frame > 48
    np.testing.assert_allclose(pixels_of(picture, [128] * 3) / frame, 5, rtol=0.01)  # input, truth
    brightest = to_rgb(np.ones((1, 1, 1)), 0, 1, "inferno")[
        0, 0
    ]  # the error is the top of its range
    np.testing.assert_allclose(pixels_of(picture, brightest) / frame, 3, rtol=0.01)


def test_strip_shows_motion_coverage_and_gate(tmp_path):
    motion = np.zeros((3, 8, 6, 2), np.float32)
    motion[0] = [2.0, 0.0]
    motion[1] = np.nan
    report.save_strip(
        tmp_path / "s.png",
        prediction=constant(0.75, channels=2),
        motion=motion,
        coverage=constant(1.7),
        gate=np.concatenate([constant(0.0), constant(0.5)], -1),
        data_range=(0.0, 1.0),
    )
    picture = iio.imread(tmp_path / "s.png")
    share = np.array([1.0, 0.25]).reshape(2, 1, 1)
    full, quarter = to_rgb(share, 0, 1, "cividis")[:, 0]
    frame = pixels_of(picture, to_rgb(np.full((1, 1, 2), 0.75), 0, 1)[0, 0]) / 3
    assert frame > 48
    # To the right, NaN, at rest; of each share three frames. The keys have few pixels of a colour.
    for colour, frames in (([255, 0, 0], 1), (MISSING, 1), (full, 3), (quarter, 3)):
        np.testing.assert_allclose(pixels_of(picture, colour) / frame, frames, rtol=0.02)


def test_motion_wheel():
    """Each direction has its colour at its own side, black in the middle."""
    right, down, left, up = np.eye(4)[:, :2] - np.eye(4)[:, 2:]
    colours = motion_colours(np.stack([right, down, left, up, 0 * up, 9 * up]), fastest=1.0)
    np.testing.assert_array_equal(
        colours, [[255, 0, 0], [128, 255, 0], [0, 255, 255], [128, 0, 255], [0] * 3, [128, 0, 255]]
    )
    wheel = motion_wheel(65)
    sides = wheel[[32, 64, 32, 0], [64, 32, 0, 32]]
    np.testing.assert_array_equal(sides, colours[:4])
    assert not wheel[32, 32].any()


def test_strip_thins_out_time_and_keeps_both_ends(tmp_path):
    truth = np.linspace(0, 1, 9, dtype=np.float32).reshape(9, 1, 1, 1) * np.ones((1, 8, 6, 1))
    report.save_strip(tmp_path / "s.png", prediction=truth, data_range=(0, 1), steps=3)
    picture = iio.imread(tmp_path / "s.png")
    first, second, middle = (pixels_of(picture, [level] * 3) for level in (0, 32, 128))
    assert first > 48
    np.testing.assert_allclose(middle / first, 1, rtol=0.01)
    assert second < 0.01 * first


def test_rendered_out_of_range_gets_its_own(tmp_path):
    rendered = np.linspace(-2, -1, 48, dtype=np.float32).reshape(1, 8, 6, 1).repeat(3, 0)
    options = dict(prediction=constant(0.5), data_range=(0, 1))
    report.save_strip(tmp_path / "own.png", rendered=rendered, **options)
    report.save_strip(tmp_path / "black.png", rendered=constant(0.0), **options)
    own, black = (iio.imread(tmp_path / name) for name in ("own.png", "black.png"))
    assert own.shape == black.shape
    assert pixels_of(own, [0] * 3) < 0.2 * pixels_of(black, [0] * 3)
    report.save_strip(tmp_path / "near.png", rendered=0.01 * rendered, **options)
    assert pixels_of(iio.imread(tmp_path / "near.png"), [0] * 3) == pixels_of(black, [0] * 3)


@pytest.mark.parametrize("channels", [2, 3])
def test_channels(channels, tmp_path):
    truth = constant(0.5, channels=channels)
    truth[..., 0] = 1.0
    report.save_strip(tmp_path / "s.png", truth=truth, prediction=truth, data_range=(0, 1))
    colour = [255, 128, 128] if channels == 3 else to_rgb(truth[:1, :1, :1], 0, 1)[0, 0, 0]
    assert pixels_of(iio.imread(tmp_path / "s.png"), colour) >= 6 * 48


def test_nan_is_a_bluish_grey():
    frame = np.array([[[0.0], [np.nan]]])
    np.testing.assert_array_equal(to_rgb(frame, 0, 1), [[[0, 0, 0], [152, 164, 186]]])


def test_gif_has_a_frame_for_each_step(tmp_path):
    path = tmp_path / "clip.gif"
    clips = dict(inputs=constant(0.0, frames=2), truth=constant(0.5), prediction=constant(0.75))
    report.save_gif(path, **clips, data_range=(0.0, 1.0))
    frames = iio.imread(path, index=None)
    assert len(frames) == 5
    frame = pixels_of(frames[0], [0] * 3)  # observed
    assert frame > 48
    for level in (128, 191):
        np.testing.assert_allclose(pixels_of(frames[4], [level] * 3) / frame, 1, rtol=0.01)
        assert pixels_of(frames[0], [level] * 3) < 0.01 * frame
    report.save_gif(tmp_path / "alone.gif", prediction=constant(0.75), data_range=(0.0, 1.0))
    assert iio.imread(tmp_path / "alone.gif", index=None).shape[:1] in ((1,), (3,))


def test_ellipse_convention():
    """Rotation turns the long axis from x (right) towards y (down)."""
    mean, scale = np.array([[10.0, 20.0]]), np.array([[4.0, 1.0]])
    flat, down = (ellipses(mean, scale, np.array([a]), sigmas=2.0)[0] for a in (0.0, np.pi / 2))
    np.testing.assert_allclose([flat.min(0), flat.max(0)], [[2, 18], [18, 22]], atol=1e-9)
    np.testing.assert_allclose([down.min(0), down.max(0)], [[8, 12], [12, 28]], atol=1e-9)
    tilted = ellipses(mean, scale, np.array([0.5]))[0] - mean
    tip = tilted[np.argmax((tilted**2).sum(-1))]
    np.testing.assert_allclose(np.abs(tip), [4 * np.cos(0.5), 4 * np.sin(0.5)])
    assert tip[0] * tip[1] > 0
    np.testing.assert_allclose(tilted[0], tilted[-1], atol=1e-9)


def test_gaussians_are_drawn_where_they_are(tmp_path):
    path = tmp_path / "gaussians.png"
    frame = np.zeros((16, 32, 1), np.float32)
    report.save_gaussians(
        path,
        frame,
        mean=np.array([[7.5, 7.5], [23.5, 7.5], [90.0, 7.5]]),
        scale=np.full((3, 2), 3.0),
        rotation=np.zeros(3),
        amplitude=np.array([[1.0], [-1.0], [0.1]]),
        data_range=(0, 1),
        title="two inside",
    )
    picture = iio.imread(path)[..., :3].astype(int)
    orange = np.argwhere((picture[..., 0] > 200) & (picture[..., 2] < 80))
    blue = np.argwhere((picture[..., 2] > 200) & (picture[..., 0] < 100))
    width = picture.shape[1]
    assert len(orange) > 50
    assert len(blue) > 50
    # Columns of the frame are 32 over the width less the margin; the centres at 1/4 and 3/4.
    np.testing.assert_allclose(orange[:, 1].mean() / width, 0.25, atol=0.02)
    np.testing.assert_allclose(blue[:, 1].mean() / width, 0.75, atol=0.02)
    report.save_gaussians(
        path,
        frame,
        mean=np.zeros((0, 2)),
        scale=np.zeros((0, 2)),
        rotation=np.zeros(0),
        amplitude=np.zeros((0, 1)),
        data_range=(0, 1),
        rendered=frame,
    )
    assert iio.imread(path).shape[1] > 1.8 * width


def test_tracks_chosen_are_the_furthest_of_each_cell():
    starts = np.array([[0, 0], [1, 1], [3, 3], [4, 0], [5, 1], [-1, 0], [7, 7]], np.float64)
    ends = starts + np.array([[2, 0], [0, 3], [0, 0], [0, 1], [0.5, 0], [5, 0], [np.nan, 0]])
    there_and_back = np.stack([starts, ends, starts])
    chosen = choose_tracks(there_and_back, 8, 8, cell=4)
    # Of the first cell the second Gaussian; at rest, outside or NaN none.
    np.testing.assert_array_equal(chosen, [1, 3])
    np.testing.assert_array_equal(choose_tracks(there_and_back, 8, 8, cell=4, least=2.0), [1])


def test_tracks_are_drawn_over_the_frame(tmp_path):
    """The end of the colour map is where the track ends, its start where it starts."""
    path = tmp_path / "tracks.png"
    frame = np.zeros((16, 32, 1), np.float32)
    start = np.array([[8.0, 8.0], [20.0, 3.0]])
    positions = start + np.arange(5).reshape(5, 1, 1) * np.array([[4.0, 0.0], [0.0, 0.0]])
    report.save_tracks(path, frame, positions=positions, data_range=(0, 1), title="one moves")
    picture = iio.imread(path)[..., :3].astype(int)
    drawn = picture[:, (picture == 0).all(-1).mean(0) > 0.5]  # the columns of the frame
    pixel = drawn.shape[1] / 32
    colours = to_rgb(np.array([1 / 8, 1.0]).reshape(2, 1, 1), 0, 1, "cool")[:, 0].astype(int)
    for colour, (low, high) in zip(colours, ((8, 12), (20, 24)), strict=True):
        _, x = np.nonzero((np.abs(drawn - colour) <= 1).all(-1))
        assert len(x) > 5
        np.testing.assert_array_less(low - 1, x / pixel - 0.5)
        np.testing.assert_array_less(x / pixel - 0.5, high + 1)
    report.save_tracks(path, frame, positions=0 * positions, data_range=(0, 1))  # nothing moves


def test_curves(tmp_path):
    lines = [{"step": i, "loss": 1.0 / (1 + i)} for i in range(0, 300, 2)]
    lines += [{"step": 300, "test/mse": 3.0}, {"step": 302, "loss": None}]
    run = tmp_path / "metrics.jsonl"
    run.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 304, "lo')  # cut off
    steps, values = read_curve(run, "loss")
    assert len(steps) == 151
    np.testing.assert_allclose(values[:2], [1.0, 1 / 3])
    assert np.isnan(values[-1])
    smooth = running_mean(values)
    assert np.isfinite(smooth).all()
    np.testing.assert_allclose(smooth[1], values[:3].mean())
    report.save_curves(tmp_path / "c.png", {"plain": run, "PDR": run})
    picture = iio.imread(tmp_path / "c.png")
    assert pixels_of(picture, [0xD1, 0x60, 0x3D]) > 100  # the last line covers the first
    report.save_curves(tmp_path / "one.png", {"plain": run}, key="test/mse", title="test")
    with pytest.raises(ValueError, match="has no 'val'; it has loss, step, test/mse"):
        read_curve(run, "val")
    run.write_text('{"step": 1\n{"step": 2, "loss": 1.0}\n')
    with pytest.raises(ValueError, match="line 1 is not JSON"):
        read_curve(run, "loss")


ROWS = {
    "persistence": {"mse": 19.456, "psnr": 26.09, "sharpness": 1.003, "steps": 0},
    "plain": {"mse": 8.6312, "psnr": 28.22, "sharpness": 0.946, "steps": 500},
    "PDR": {"mse": 8.6314, "psnr": float("nan"), "sharpness": 1.2, "steps": 400, "ssim": 0.83},
}


def words(text):
    """The words of each printed line, bold ones between asterisks."""
    bold = re.sub(r"\x1b\[1m *([^\x1b ]+)\x1b\[0m", r" *\1* ", text)
    return [re.sub(r"\x1b\[\d+m", "", line).split() for line in bold.splitlines()]


def printed(table):
    console = Console(width=90, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(table)
    return words(capture.get())


def test_table():
    lines = printed(
        report.rich_table(ROWS, reference=("persistence",), corner="model", title="kth")
    )
    assert lines[0] == ["kth"]
    heads = ["model", "mse ↓", "psnr ↑", "sharpness →1", "steps", "ssim ↑"]
    assert " ".join(lines[2]).replace("*", "") == " ".join(heads)
    assert lines[4:7] == [
        ["persistence", "19.46", "26.09", "1.003", "0", "-"],
        ["plain", "*8.631*", "*28.22*", "*0.9460*", "500", "-"],
        ["PDR", "*8.631*", "nan", "1.200", "400", "*0.8300*"],
    ]


def test_table_of_chosen_columns():
    lines = printed(report.rich_table(ROWS, ["sharpness"]))
    assert ["persistence", "*1.003*"] in lines  # ranked, because it is no reference here
    with pytest.raises(ValueError, match="no row has 'lpips'; they have mse, psnr"):
        report.rich_table(ROWS, ["lpips"])


def test_a_table_goes_to_an_output_of_ascii_only(monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    report.print_table({"modèle": {"mse": 1.0, "sharpness": 0.5}}, title="kth")
    ascii_only.flush()
    printed = ascii_only.buffer.getvalue().decode("ascii")
    assert "mse v" in printed
    assert "sharpness =1" in printed
    assert "mod?le" in printed


def test_printed_table_ranks_no_controls_and_is_not_cut(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    names = [f"figure_{column}" for column in range(12)]
    rows = {
        "persistence": {**dict.fromkeys(names, 0.5), "mse": 0.25},
        "PDR": {**dict.fromkeys(names, 1.5), "mse": 1.25},
        "PDR, no-rendering": {**dict.fromkeys(names, 2.5), "mse": 2.25},
    }
    report.print_table(rows, title="kth")
    lines = words(capsys.readouterr().out)
    assert ["PDR", *["1.500"] * 12, "*1.250*"] in lines
    assert ["PDR,", "no-rendering", *["2.500"] * 12, "2.250"] in lines


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: report.save_strip(p / "a.jpg", **PAIR, data_range=(0, 1)), r"ends in \.png"),
        (lambda p: report.save_gif(p / "a.png", **PAIR, data_range=(0, 1)), r"ends in \.gif"),
        (lambda p: report.save_strip(p / "a.png", **PAIR, data_range=(1, 0)), "low < high"),
        (
            lambda p: report.save_strip(
                p / "a.png", truth=constant(0)[:2], prediction=constant(0), data_range=(0, 1)
            ),
            r"truth has shape \(2, 8, 6, 1\); expected \(3, 8, 6, 1\)",
        ),
        (
            lambda p: report.save_gif(p / "a.gif", prediction=constant(0)[None], data_range=(0, 1)),
            r"expected one clip \(T, H, W, C\)",
        ),
        (lambda p: report.save_curves(p / "a.png", {}), "runs is empty"),
        (lambda p: report.rich_table({}), "rows is empty"),
        (
            lambda p: ellipses(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((1, 2))),
            "the Gaussians of one frame",
        ),
        (
            lambda p: report.save_strip(
                p / "a.png", prediction=constant(0), motion=constant(0), data_range=(0, 1)
            ),
            r"motion has shape \(3, 8, 6, 1\); expected \(3, 8, 6, 2\)",
        ),
        (
            lambda p: report.save_tracks(
                p / "a.png", constant(0)[0], positions=np.zeros((1, 4, 2)), data_range=(0, 1)
            ),
            r"positions has shape \(1, 4, 2\); expected .* two frames or more",
        ),
    ],
)
def test_bad_input_is_refused(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


PAIR = {"truth": constant(0.5), "prediction": constant(0.5)}


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'pdr-jax\[report\]'"):
        report.save_strip(tmp_path / "a.png", **PAIR, data_range=(0, 1))


def test_a_comparison_has_a_row_for_each_prediction(tmp_path):
    path = tmp_path / "rows.png"
    report.save_comparison(
        path,
        inputs=constant(0.5),
        truth=constant(0.5, frames=4),
        predictions={"plain": constant(0.25, frames=4), "PDR": constant(0.75, frames=4)},
        data_range=(0.0, 1.0),
        steps=3,
    )
    picture = iio.imread(path)
    plain, pdr, known = (pixels_of(picture, [level] * 3) for level in (64, 191, 128))
    assert plain > 3 * 48
    np.testing.assert_allclose([pdr, known], [plain, 2 * plain], rtol=0.01)
    with pytest.raises(ValueError, match=r"plain has shape \(3, 8, 6, 1\)"):
        report.save_comparison(
            path,
            truth=constant(0.5, frames=4),
            predictions={"plain": constant(0.5)},
            data_range=(0.0, 1.0),
        )
