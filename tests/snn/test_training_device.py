"""What a training says about bfloat16 on a processor that gains nothing from it."""

import pytest
import torch

from snn.training import TrainingConfig
from snn.training.device import bf16_gain, has_bf16, training_device


@pytest.mark.parametrize("gain, told", [(0.5, True), (1.5, False)])
def test_bfloat16_that_takes_longer_is_told(monkeypatch, caplog, gain, told):
    monkeypatch.setattr("snn.training.device.has_bf16", lambda device: True)
    monkeypatch.setattr("snn.training.device.bf16_gain", lambda: gain)
    training_device(TrainingConfig(amp="bf16"))
    assert ("a convolution takes 2.0 times as long as in float32" in caplog.text) == told


def test_float32_is_not_measured(monkeypatch, caplog):
    monkeypatch.setattr("snn.training.device.bf16_gain", lambda: pytest.fail("measured"))
    assert training_device(TrainingConfig()) == torch.device("cpu")
    assert not caplog.text


@pytest.mark.skipif(not has_bf16("cpu"), reason="this processor has no bfloat16 arithmetic")
def test_what_bfloat16_is_worth_is_measured_without_a_trace():
    state = torch.get_rng_state()
    assert 0.05 < bf16_gain() < 20
    assert torch.equal(torch.get_rng_state(), state)  # a seeded training draws what it always drew
