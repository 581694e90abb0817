"""The plain loop: membranes worked by hand, and norse's and spikingjelly's neurons."""

import math

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from snn.errors import ModelError
from snn.neurons import NeuronParameters, from_norse, run_steps
from snn.surrogate import Surrogate


def column(*values):
    return torch.tensor(values).unsqueeze(1)


def test_leaky_membrane_by_hand():
    """0.5, 0.75 < 0.8, 0.875 fires, 0.5, then half of the distance to zero."""
    parameters = NeuronParameters(gain=0.5, threshold=0.8)
    spikes, v = run_steps(column(1.0, 1.0, 1.0, 1.0, 0.0), parameters)
    assert spikes[:, 0].tolist() == [0, 0, 1, 0, 0]
    assert v.tolist() == [0.25]


def test_integrator_fires_strictly_above_the_threshold_and_keeps_the_rest():
    parameters = NeuronParameters(kind="if", gain=1.0, reset="subtract")
    spikes, v = run_steps(column(0.5, 0.5, 0.25, 1.0), parameters)
    assert spikes[:, 0].tolist() == [0, 0, 1, 1]
    assert v.tolist() == [0.25]


def test_gradients_by_hand():
    """Two steps, the first fires: what an attached reset adds is -v h(v - threshold) in it."""
    surrogate = Surrogate("triangle", 1.0)

    def gradient(**settings):
        x = column(1.5, 0.75).requires_grad_()
        parameters = NeuronParameters(kind="if", gain=1.0, surrogate=surrogate, **settings)
        run_steps(x, parameters)[0][1].backward()
        return x.grad[:, 0].tolist()

    # step 1: v = 0.75 after a reset to zero, h = 0.75; step 0: v = 1.5, h = 0.5
    assert gradient() == [0.0, 0.75]
    assert gradient(detach_reset=False) == [-0.75 * 1.5 * 0.5, 0.75]
    # after a subtraction v = 1.25, h = 0.75 again, and the way through the membrane stays open
    assert gradient(reset="subtract") == [0.75, 0.75]
    assert gradient(reset="subtract", detach_reset=False) == [0.75 * (1 - 0.5), 0.75]


def test_chip_grid_cuts_what_the_decay_keeps():
    """At 64 units per volt half of 0.046875 (3 units) is 1 unit, not 1.5."""
    parameters = NeuronParameters(gain=0.5, grid_scale=1.0)
    _, v = run_steps(column(0.09375, 0.0), parameters)
    _, exact = run_steps(column(0.09375, 0.0), NeuronParameters(gain=0.5))
    assert exact.item() == 0.0234375
    assert v.item() == 0.0  # 2 units after the cut, one after the decay: cut to none


def test_problems_come_together():
    with pytest.raises(ModelError, match=r"kind.*gain.*threshold.*reset.*grid_scale"):
        NeuronParameters(kind="alif", gain=0, threshold=math.inf, reset="no", grid_scale=0)
    with pytest.raises(ModelError, match="does not leak"):
        NeuronParameters(kind="if", gain=0.5)


@pytest.mark.parametrize("current", [torch.zeros(0, 3), torch.tensor(1.0)])
def test_steps_are_needed(current):
    with pytest.raises(ModelError, match="steps as its first dimension"):
        run_steps(current, NeuronParameters())


def test_currents_are_real_numbers():
    with pytest.raises(ModelError, match="int64"):
        run_steps(torch.ones(2, 3, dtype=torch.long), NeuronParameters())


def test_a_gain_is_one_number_for_a_neuron_that_leaks():
    x = torch.ones(2, 3)
    with pytest.raises(ModelError, match=r"\(3,\)"):
        run_steps(x, NeuronParameters(), gain=torch.ones(3))
    with pytest.raises(ModelError, match="no gain to learn"):
        run_steps(x, NeuronParameters(kind="if", gain=1.0), gain=torch.tensor(1.0))


class TestNorse:
    @pytest.fixture
    def norse(self):
        return pytest.importorskip("norse.torch", reason="norse is not installed")

    def test_same_parameters_same_neuron(self, norse):
        p = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(200.0), method="tanh", alpha=3.0)
        neuron = from_norse(p, dt=0.001)
        assert neuron == NeuronParameters(
            gain=float(0.001 * torch.tensor(200.0)),
            detach_reset=False,
            surrogate=Surrogate("tanh", 3.0),
        )

    def test_super_ignores_alpha(self, norse):
        assert from_norse(norse.LIFBoxParameters()).surrogate == Surrogate("superspike", 1.0)

    def test_integrator(self, norse):
        neuron = from_norse(norse.IAFParameters(v_th=torch.tensor(0.5)))
        assert (neuron.kind, neuron.gain, neuron.threshold) == ("if", 1.0, 0.5)

    def test_what_has_no_counterpart_is_refused_by_name(self, norse):
        p = norse.LIFBoxParameters(
            v_leak=torch.tensor(0.1),
            v_reset=torch.tensor(-1.0),
            method="heaviside",
            reset_method=lambda z, v, r, th: v,
        )
        with pytest.raises(ModelError, match=r"v_leak.*v_reset.*heaviside.*lambda"):
            from_norse(p)
        with pytest.raises(ModelError, match="tau_syn_inv"):
            from_norse(norse.LIFParameters())
