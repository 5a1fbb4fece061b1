"""Settings of data sets that nobody has published on, of a user's own data among them."""

from pdr_jax.benchmarks.benchmark import METAFORMERS, Benchmark, Settings, metaformers

_SMALL_RECURRENT = Settings(1e-3, {"num_hidden": (64, 64), "patch_size": 2})
SMALL = {
    **metaformers(sizes=dict(hid_S=32, hid_T=128, N_S=2, N_T=4, drop_path=0.0)),
    "pfgnet": Settings(1e-3, {"hid_S": 32, "N_S": 2, "N_T": 4}),
    "mmvp": Settings(1e-3, {"hid_S": 16, "hid_T": 32}),
    "convlstm": _SMALL_RECURRENT,
    "predrnn": _SMALL_RECURRENT,
    "predrnnpp": _SMALL_RECURRENT,
    "predrnnv2": _SMALL_RECURRENT,
    "mim": _SMALL_RECURRENT,
    "e3dlstm": _SMALL_RECURRENT,
    "mau": Settings(1e-3, {"num_hidden": (32, 32), "sr_size": 2}),
    "phydnet": Settings(1e-3, {"patch_size": 2}),
    "predformer": Settings(1e-3, {"patch_size": 4, "dim": 128, "heads": 4, "scale_dim": 2}),
}

# A build of stored clips by its name, if not by its options: it serves shorter lengths as well.
STORED = {"config": ""}

# Ours: small enough for a laptop, so that `pdr demo` takes minutes.
MOVING_SPRITES = Benchmark(
    in_length=10,
    out_length=10,
    frame_shape=(32, 32, 3),
    pool=4,
    num_gaussians=256,
    window=15,
    epochs=20,
    schedule="onecycle",
    data_options={"size": 32, "channels": 3, "num_train": 512, "num_test": 64, "seed": 0},
    backbones={
        **SMALL,
        **metaformers(
            sizes=dict(hid_S=16, hid_T=64, N_S=2, N_T=3, drop_path=0.0),
            rates=dict.fromkeys((n.removeprefix("simvp_") for n in ("tau", *METAFORMERS)), 2e-3),
            options={"incepu": {"N_T": 2}},
        ),
    },
)

# A user's own array; its frame shape is known only when it is opened.
ARRAYS = Benchmark(
    in_length=10,
    out_length=10,
    frame_shape=(64, 64, 1),
    pool=4,
    num_gaussians=256,
    window=15,
    epochs=50,
    schedule="onecycle",
    data_options={
        "path": "",
        "key": "",
        "levels": "",
        "axes": "",
        "crop": "",
        "pad": "",
        "stride": 1,
        "test_fraction": 0.2,
        "scaling": "",
        "per_channel": False,
        "missing": "refuse",
    },
    backbones=SMALL,
)

# A user's own videos, which have been prepared with the same options.
VIDEOS = Benchmark(
    in_length=10,
    out_length=10,
    frame_shape=(64, 64, 3),
    pool=4,
    num_gaussians=256,
    window=15,
    epochs=50,
    schedule="onecycle",
    data_options={
        "height": 64,
        "width": 64,
        "channels": "rgb",
        "every": 1,
        "white": 65535,
        "split": "file",
        "test_fraction": 0.2,
        "val_fraction": 0.1,
        "seed": 0,
        "stride": 1,
    },
    backbones=SMALL,
)

# A user's own radar maps, likewise.
RADAR = Benchmark(
    in_length=10,
    out_length=10,
    frame_shape=(128, 128, 1),
    pool=8,
    num_gaussians=400,
    window=51,
    epochs=50,
    schedule="onecycle",
    data_options={
        "height": 128,
        "width": 128,
        "crop": "",
        "values": "dbz",
        "threshold": 0.1,
        "zr_a": 200.0,
        "zr_b": 1.6,
        "step": 0.0,
        "split": "event",
        "test_fraction": 0.2,
        "val_fraction": 0.1,
        "seed": 0,
        "stride": 1,
    },
    backbones=SMALL,
)
