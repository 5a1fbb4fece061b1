"""What a backbone's settings may be: checked before anything is built, and named if refused."""

import jax.numpy as jnp
import pytest

from pdr_jax import backbones
from pdr_jax.backbones.checks import fraction, integers, number, odd, one_of

SHAPE = (4, 32, 32, 1)


def of_type(kind):
    """(backbone, field) of all whose default is a `kind`."""
    return [
        (name, field)
        for name in backbones.names()
        for field, default in backbones.hyperparameters(name).items()
        if isinstance(default, kind)
    ]


@pytest.mark.parametrize(("name", "field"), of_type(tuple))
def test_one_number_is_no_list(name, field):
    others = {"initial_downsample_type": "stack_conv"} if "stack_conv" in field else {}
    with pytest.raises(TypeError, match=rf"^{field} = 64 must be a tuple \(in JSON a list\)"):
        backbones.create(name, SHAPE, **others, **{field: 64})


@pytest.mark.parametrize(("name", "field"), of_type(float))
def test_a_text_is_no_number(name, field):
    with pytest.raises(TypeError, match=rf"^{field} = '0.1' must be a number"):
        backbones.create(name, SHAPE, **{field: "0.1"})


@pytest.mark.parametrize(("name", "field"), of_type(bool))
def test_a_text_is_neither_true_nor_false(name, field):
    with pytest.raises(TypeError, match=rf"^{field} = 'no' must be True or False"):
        backbones.create(name, SHAPE, **{field: "no"})


@pytest.mark.parametrize("dtype", ["float17", "int32", jnp.uint8, 3])
def test_what_cannot_be_computed_in_is_refused(dtype):
    with pytest.raises(TypeError, match=r"dtype = .* must be a floating point type"):
        backbones.create("tau", SHAPE, dtype=dtype)


@pytest.mark.parametrize("dtype", [None, "bfloat16", jnp.float16, jnp.dtype("float32")])
def test_every_floating_point_type_is_taken(dtype):
    backbones.create("tau", SHAPE, dtype=dtype)


def test_integers_come_back_and_odd_numbers_pass():
    assert integers("f", (3, 4), 3) == (3, 4)
    odd("f", 3)


@pytest.mark.parametrize(
    ("check", "arguments", "error", "message"),
    [
        (integers, ((3, 2), 3), ValueError, r"f\[1\] = 2 must be at least 3"),
        (integers, ((), 3), ValueError, "the length of f = 0 must be at least 1"),
        (odd, (4,), ValueError, "f = 4 must be odd"),
        (number, (float("nan"),), ValueError, "f = nan must be finite"),
        (number, (True,), TypeError, "f = True must be a number"),
        (fraction, ("0",), TypeError, "f = '0' must be a number"),
        (one_of, ("c", ("a", "b")), ValueError, "f = 'c' must be one of a, b"),
    ],
)
def test_a_check_names_the_field(check, arguments, error, message):
    with pytest.raises(error, match=message):
        check("f", *arguments)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("tau", {}, None),
        ("phydnet", {}, (0, 1)),
        ("swinlstm_b", {}, (0, 1)),
        ("vmrnn_d", {}, (0, 1)),
        ("prednet", {"pixel_max": 255.0}, (0, 255)),
    ],
)
def test_the_range_of_what_is_predicted(name, settings, expected):
    assert backbones.create(name, SHAPE, **settings).output_range == expected
