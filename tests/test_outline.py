"""Networks told in rows: which layers share one, where its input comes from, the longest way."""

from __future__ import annotations

import keras
import pytest

from cinegan.outline import main_path, outline

layers = keras.layers


@pytest.fixture
def network():
    """A plain start, two ways of unequal length, and a dense end."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, 2, "same", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.LeakyReLU(name="leaky")(x)
    short = layers.Conv2D(4, 1, name="short")(x)
    long = layers.Activation("relu", name="relu")(x)  # x is used twice: it has a row of its own
    long = layers.Conv2D(4, 3, padding="same", name="long")(long)
    x = layers.Add(name="add")([short, long])
    x = layers.AveragePooling2D(2, name="down")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(1, name="end")(x))


def test_what_follows_a_layer_is_told_with_it(network):
    rows = {row.name: [layer.name for layer in row.layers] for row in outline(network)}
    assert rows == {
        "image": ["image"],
        "conv": ["conv", "norm", "leaky"],
        "short": ["short"],
        "relu": ["relu"],
        "long": ["long"],
        "add": ["add"],
        "down": ["down"],
        "flatten": ["flatten"],
        "end": ["end"],
    }


def test_a_row_has_the_shape_parameters_and_operations_of_its_layers(network):
    row = outline(network)[1]
    assert row.kinds == ("Conv2D 3x3, stride 2", "BatchNormalization", "LeakyReLU")
    assert row.shape == (4, 4, 4)
    assert row.parameters == 3 * 3 * 3 * 4 + 4 + 4 * 4
    assert row.flops == 2 * 4 * 4 * 3 * 3 * 3 * 4


def test_inputs_are_places_of_rows(network):
    rows = outline(network)
    sources = {row.name: [rows[i].name for i in row.inputs] for row in rows}
    assert sources["image"] == []
    assert sources["short"] == sources["relu"] == ["conv"]
    assert sources["add"] == ["short", "long"]


def test_the_main_path_is_the_longest(network):
    rows = outline(network)
    names = [rows[i].name for i in main_path(rows)]
    assert names == ["image", "conv", "relu", "long", "add", "down", "flatten", "end"]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (layers.UpSampling2D(2), "UpSampling2D 2x2"),
        (layers.MaxPooling2D(2), "MaxPooling2D 2x2"),
        (layers.Conv2DTranspose(2, 5, 2), "Conv2DTranspose 5x5, stride 2"),
        (layers.Conv2D(2, (3, 1)), "Conv2D 3x1"),
        (layers.Activation("tanh"), "tanh"),
    ],
)
def test_kinds_say_how_large_a_window_is_and_how_it_moves(layer, kind):
    image = keras.Input((8, 8, 2))
    assert outline(keras.Model(image, layer(image)))[-1].kinds[-1] == kind
