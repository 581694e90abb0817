"""Chips and boards, what would make a network smaller, and what is told and not counted."""

from dataclasses import replace

import numpy as np
import pytest
from fit_layers import VALUES, conv, dense, written

from hardware.analysis.fit import fit_network
from hardware.analysis.fit.boards import board_rows, chips_for, smallest_board
from hardware.analysis.fit.shapes import (
    Layer,
    NetworkShape,
    Projection,
    ShapeError,
    Window,
    changed,
)
from hardware.analysis.fit.suggestions import cores_of, suggest
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels
from hardware.chip.synapses import Conv, Dense


# -- chips and boards -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("cores", "chips", "board"),
    [(1, 1, "Oheo Gulch"), (120, 1, "Oheo Gulch"), (121, 2, "Kapoho Point"),
     (961, 9, "Loihi 2 VPX"), (1921, 17, "Hala Point"), (140_000, 1167, "no known board")],
)  # fmt: skip
def test_chips_and_boards(cores, chips, board):
    assert chips_for(cores) == chips
    assert smallest_board(chips) == board
    fitting = [row["board"] for row in board_rows(cores) if row["fits"]]
    assert (fitting or ["no known board"])[0] == board


# -- what would make it smaller -------------------------------------------------------------------
def residual(stride=1):
    """A stem, a block with a path around it, a read-out."""
    shape, smaller = (32, 32, 32), (32, 32 // stride, 32 // stride)
    window = Window(kernel=(3, 3), padding=(1, 1))
    block = replace(window, stride=(stride,) * 2)

    def layer(name, shape, *projections):
        return Layer(name=name, model="cuba", shape=shape, projections=projections)

    def through(window, *sources, of):
        return Projection(kind="conv", sources=sources, source_shape=of, window=window)

    stem = replace(window, kernel=(5, 5), stride=(2, 2), padding=(2, 2))
    return NetworkShape(
        input_shape=(2, 64, 64),
        layers=(
            layer("stem", shape, through(stem, INPUT, of=(2, 64, 64))),
            layer("one", smaller, through(block, "stem", of=shape)),
            layer("two", smaller, through(window, "one", of=smaller)),
            layer("three", smaller, through(window, "one", "two", of=smaller)),
            layer(
                "out",
                (7,),
                Projection(kind="dense", sources=("three",), source_shape=smaller),
            ),
        ),
    )


def test_a_change_is_followed_through_the_network():
    half = changed(residual(stride=2), input_shape=(2, 32, 32))
    assert [layer.shape for layer in half.layers] == [
        (32, 16, 16), (32, 8, 8), (32, 8, 8), (32, 8, 8), (7,),
    ]  # fmt: skip
    assert half.layers[-1].projections[0].source_shape == (32, 8, 8)
    assert changed(residual()) == residual()


def test_a_stride_within_a_residual_block_is_refused():
    def twice(layer):
        if layer.name != "two":
            return layer
        (projection,) = layer.projections
        window = replace(projection.window, stride=(2, 2))
        return replace(layer, projections=(replace(projection, window=window),))

    with pytest.raises(ShapeError, match="one \\+ two"):
        changed(residual(), change=twice)


def test_suggestions_are_what_the_estimator_says_of_the_smaller_network():
    shape = residual()
    found = {s.change: s for s in suggest(shape)}
    assert set(found) == {"twice the stride in stem", "half the channels", "half the resolution"}
    assert found["half the resolution"].cores == cores_of(changed(shape, input_shape=(2, 32, 32)))
    narrow = found["half the channels"]
    assert narrow.neurons == shape.neurons // 2 + 4  # the 7 classes stay
    assert narrow.weights == 16 * 2 * 25 + 3 * 16 * 16 * 9 + 7 * 16 * 32 * 32
    assert "train again" in narrow.cost
    for suggestion in found.values():
        assert suggestion.cores_saved == cores_of(shape) - suggestion.cores > 0


def test_half_the_channels_of_a_depthwise_layer_follow_its_source():
    wide, pooled = conv((64, 62, 62), (2, 64, 64)), conv((64, 60, 60), (64, 62, 62), groups=64)
    first = replace(wide, name="a", projections=(replace(wide.projections[0], sources=(INPUT,)),))
    second = replace(pooled, projections=(replace(pooled.projections[0], sources=("a",)),))
    shape = NetworkShape(input_shape=(2, 64, 64), layers=(first, second, dense_of("conv", second)))
    narrow = next(s for s in suggest(shape) if s.change == "half the channels")
    assert narrow.weights == 32 * 2 * 9 + 32 * 9 + 5 * 32 * 60 * 60


def dense_of(source, layer):
    projection = Projection(kind="dense", sources=(source,), source_shape=layer.shape)
    return Layer(name="out", model="cuba", shape=(5,), projections=(projection,))


def test_a_small_network_is_told_nothing():
    shape = NetworkShape(input_shape=(8,), layers=(dense_of(INPUT, written((8,))),))
    assert suggest(shape) == ()


def test_an_input_layer_can_move_to_the_host():
    shape = NetworkShape(input_shape=(3, 66, 200), layers=(written((3, 66, 200)),))
    (suggestion,) = (s for s in suggest(shape) if "host" in s.change)
    assert suggestion.cores_saved == 12  # the last core stays: a chip that holds nothing is one
    assert "39,600 neurons" in suggestion.cost


def test_levels_can_become_sigma_delta_neurons():
    network = ChipNetwork(
        input_shape=(4,),
        input_bits=4,
        populations=(Levels(name="a", shape=(3,), vth=10, levels=4),),
        synapses=(
            Dense(sources=(INPUT,), target="a", weight=np.eye(3, 4, dtype=np.int32),
                  message_bits=4),
        ),
    )  # fmt: skip
    assert "sigma-delta" in " ".join(s.change for s in fit_network(network).suggestions)


def test_another_code_is_for_networks_that_send_values():
    """235 outputs behind 200 values: 0.26 units each ask for a core more than 0.24 do."""
    wide = replace(dense_of(INPUT, written((200,))), name="a", shape=(200,), model="sigma_delta")
    (read,) = dense(235, 200, **VALUES).projections
    out = Layer(
        name="out", model="cuba", shape=(235,), projections=(replace(read, sources=("a",)),)
    )
    shape = NetworkShape(input_shape=(200,), layers=(wide, out))
    (found,) = (s for s in suggest(shape) if s.change.startswith("rate code"))
    assert (cores_of(shape), found.cores) == (3, 2)
    spiking = replace(shape, layers=(replace(wide, model="cuba"), out))
    assert not [s for s in suggest(spiking) if s.change.startswith("rate code")]


# -- paths that skip layers -----------------------------------------------------------------------
def test_relays_of_a_residual_path_are_told_and_not_counted():
    def neurons(name):
        return Cuba(name=name, shape=(4, 8, 8), du=4096, dv=100, vth=100)

    def weights(*sources, target):
        weight = np.full((4, 4, 3, 3), 2, np.int32)
        return Conv(sources=sources, target=target, weight=weight, padding=(1, 1), message_bits=2)

    network = ChipNetwork(
        input_shape=(4, 8, 8),
        populations=(neurons("a"), neurons("b"), neurons("c")),
        synapses=(
            weights(INPUT, target="a"),
            weights("a", target="b"),
            weights("a", "b", target="c"),
        ),
    )
    fit = fit_network(network)
    assert fit.cores == 3
    (note,) = (note for note in fit.as_dict()["notes"] if "skip" in note)
    assert "Messages of a skip" in note and "256 of them" in note
