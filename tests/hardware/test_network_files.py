"""ChipNetwork: what it refuses, and what its file survives."""

import dataclasses

import h5py
import numpy as np
import pytest

from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.storage import load_network, save_network
from hardware.errors import NetworkFormatError

LAYERS = ({"channels": 4, "kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}, 5)


@pytest.fixture
def network(random_network):
    return dataclasses.replace(random_network(1, layers=LAYERS), metadata={"classes": ["a", "b"]})


def test_saved_network_is_the_same_network(network, random_spikes, tmp_path):
    save_network(network, tmp_path / "n.chip")
    loaded = load_network(tmp_path / "n.chip")
    spikes = random_spikes(0, (2, 5, *network.input_shape))
    assert loaded.metadata == network.metadata
    np.testing.assert_array_equal(
        Simulator().run(loaded, spikes).output, Simulator().run(network, spikes).output
    )
    assert [p.name for p in tmp_path.iterdir()] == ["n.chip"]


@pytest.mark.parametrize("keep", [0, 10, 1000, 3000])
def test_truncated_file_is_one_clear_error(network, tmp_path, keep):
    path = tmp_path / "n.chip"
    save_network(network, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NetworkFormatError, match=r"n\.chip: not a readable chip network"):
        load_network(path)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(NetworkFormatError, match="no such file"):
        load_network(tmp_path / "none.chip")
    with h5py.File(tmp_path / "foreign.chip", "w") as file:
        file["x"] = 1
    with pytest.raises(NetworkFormatError, match=r"expected format 'spikeface\.chip'"):
        load_network(tmp_path / "foreign.chip")


def test_huge_declared_array_is_refused_before_it_is_allocated(network, tmp_path):
    path = tmp_path / "n.chip"
    save_network(network, path)
    with h5py.File(path, "a") as file:
        del file["synapses/0/weight"]
        file.create_dataset("synapses/0/weight", (1 << 40,), np.int32, chunks=(1 << 10,))
    with pytest.raises(NetworkFormatError, match="at most"):
        load_network(path)


def replaced(network, *, population=None, synapse=None):
    """The network with fields of its first population or synapse changed."""
    populations, synapses = list(network.populations), list(network.synapses)
    if population:
        populations[0] = dataclasses.replace(populations[0], **population)
    if synapse:
        synapses[0] = dataclasses.replace(synapses[0], **synapse)
    return ChipNetwork(
        input_shape=network.input_shape, populations=tuple(populations), synapses=tuple(synapses)
    )


def test_all_problems_come_in_one_error(network):
    vth = np.full(4, 1 << 17, np.int32)
    with pytest.raises(NetworkFormatError) as caught:
        replaced(network, population={"vth": vth, "bias_exp": 9})
    message = str(caught.value)
    assert "layer-0: vth must lie in [0, 131071]" in message
    assert "layer-0: bias_exp must lie in [0, 7], got 9" in message


def test_problems_of_the_edges_name_them(network):
    weight = network.synapses[0].weight.copy()
    weight.flat[0], weight.flat[1] = 3, 400
    with pytest.raises(NetworkFormatError, match="input -> layer-0: weights must be even"):
        replaced(network, synapse={"weight": weight})


@pytest.mark.parametrize(
    ("synapse", "message"),
    [
        ({"sources": ("nowhere",)}, "nowhere -> layer-0: known populations are"),
        ({"target": "nowhere"}, "input -> nowhere: known populations are"),
        ({"stride": (1, 1)}, "the target has"),
        ({"groups": 3}, "the target has"),
        ({"groups": 0}, "give nothing"),
        ({"stride": (0, 1)}, "give nothing"),
        ({"padding": (-1, 0)}, "give nothing"),
    ],
)
def test_broken_graphs_are_refused(network, synapse, message):
    with pytest.raises(NetworkFormatError, match=message):
        replaced(network, synapse=synapse)


# -- damage of any kind ----------------------------------------------------------------------------


def test_flipped_bytes_never_get_past_the_reader_as_another_error(network, tmp_path):
    save_network(network, tmp_path / "n.chip")
    whole = (tmp_path / "n.chip").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(300):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 1 + trial % 8):
            damaged[position] ^= 1 << rng.integers(8)
        path = tmp_path / "damaged.chip"
        path.write_bytes(damaged)
        try:
            load_network(path)
        except NetworkFormatError:
            refused += 1
    assert refused > 30


STRANGE = (-1, 1 << 40, 1.5, np.nan, "text", "", b"\xff", np.zeros(3), np.zeros((2, 2), "i4"))


def test_swapped_values_never_get_past_the_reader_as_another_error(network, tmp_path):
    path = tmp_path / "n.chip"
    save_network(network, path)
    with h5py.File(path, "r") as file:
        places = [("", name) for name in file.attrs]
        file.visititems(lambda name, item: places.extend((name, a) for a in item.attrs))
        file.visititems(
            lambda name, item: (
                places.append((name, None)) if isinstance(item, h5py.Dataset) else None
            )
        )
    refused = 0
    for group, attribute in places:
        for value in STRANGE:
            save_network(network, path)
            with h5py.File(path, "a") as file:
                if attribute:
                    file[group or "/"].attrs[attribute] = value
                else:
                    del file[group]
                    file[group] = value
            try:
                load_network(path)
            except NetworkFormatError as error:
                assert str(error).startswith(str(path))
                refused += 1
    assert refused > 0.8 * len(places) * len(STRANGE)


def test_missing_parts_are_one_clear_error(network, tmp_path):
    for part in ("populations", "synapses/0/weight", "populations/0/vth", "synapses"):
        save_network(network, tmp_path / "n.chip")
        with h5py.File(tmp_path / "n.chip", "a") as file:
            del file[part]
        with pytest.raises(NetworkFormatError, match=r"n\.chip: not a "):
            load_network(tmp_path / "n.chip")


def test_declared_neurons_are_limited(network, tmp_path):
    """Nothing is allocated for a population before its size was looked at."""
    path = tmp_path / "n.chip"
    save_network(network, path)
    with h5py.File(path, "a") as file:
        file["populations/0"].attrs["shape"] = (4, 1 << 20, 1 << 20)
    with pytest.raises(NetworkFormatError, match="neurons, at most"):
        load_network(path)
