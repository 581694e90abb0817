"""Before a model is trained: what it would take on a chip, from the shapes of its layers."""

import dataclasses

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from hardware.analysis.fit import fit_network
from hardware.compiler.nir.reader import from_nir
from hardware.compiler.quantise.quantiser import quantise
from snn.export import to_nir
from snn.models import ModelConfig, architecture, build
from spikeface.steps.fitting import fit_model, warn_if_unfit

SMALL = ModelConfig(
    family="sew_resnet", engine="fused", neuron="if", width=4, depth=10, head_hidden=8
)
MODELS = {
    "pooled stem, residuals, accumulator": SMALL,
    "strided stem, spikes": dataclasses.replace(
        SMALL, stem="strided", norm="scale", head="spike_count", neuron="lif"
    ),
    "plain convolutions": ModelConfig(engine="fused"),
}
PUBLISHED = dataclasses.replace(
    SMALL, surrogate="atan", width=64, depth=18, head="accumulator", head_hidden=512
)


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS.keys())
def test_shapes_before_training_are_those_of_the_compiled_network(config):
    shape = (2, 32, 32)
    network = build(config, input_shape=shape, n_classes=6, n_steps=6)
    chip, _ = quantise(from_nir(to_nir(network, input_shape=shape, dt_us=1000)))
    before, compiled = fit_model(network.layers, shape), fit_network(chip)
    for guess, layer in zip(before.layers, compiled.layers, strict=True):
        assert guess == layer
    assert before.loihi1.layers == compiled.loihi1.layers


def test_a_model_for_several_chips_is_named_before_it_is_trained(capsys):
    shape = (2, 128, 128)
    warn_if_unfit(architecture(PUBLISHED, input_shape=shape, n_classes=6), shape)
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "526 cores on 5 Loihi 2 chips" in line
    assert "half of both would take 84" in line
    assert "estimated" in line


def test_a_neuron_that_no_core_holds_is_named(capsys):
    config = ModelConfig(engine="fused")
    shape = (2, 512, 512)
    warn_if_unfit(architecture(config, input_shape=shape, n_classes=6), shape)
    (line,) = capsys.readouterr().err.splitlines()
    assert "breaks a rule" in line and "synaptic memory of one neuron" in line


def test_a_model_that_fits_is_not_talked_about(capsys):
    shape = (2, 64, 64)
    warn_if_unfit(architecture(SMALL, input_shape=shape, n_classes=6), shape)
    assert capsys.readouterr().err == ""
