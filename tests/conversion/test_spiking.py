"""The three codes: single neurons by hand and against Lava, whole networks against their ANN."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import numpy as np
import torch
from torch import nn

from conversion.activations import QCFS
from conversion.spiking import convert
from conversion.spiking.neurons import Graded, Rate, SigmaDelta, SignedRate
from snn.errors import ModelError

ONE = {"name": "n", "sources": (), "shape": (1,), "theta": torch.ones(1, dtype=torch.float64)}


def messages(neurons, inputs):
    """What one neuron sends for a list of inputs."""
    z = torch.zeros(1, 1, dtype=torch.float64)
    state, sent = neurons.start(z), []
    for value in inputs:
        message, state = neurons.step(z + value, state)
        sent.append(message.item())
    return sent


def test_rate_by_hand():
    # v: 1/2, then 0.9, 1.3 - 1, 0.7, 1.1 - 1, 0.5
    assert messages(Rate(**ONE), [0.4] * 5) == [0, 1, 0, 1, 0]
    assert messages(Rate(**ONE), [0.5] * 4) == [1, 0, 1, 0]  # fires at the threshold
    assert messages(Rate(**ONE), [-0.6, 3.0, 0.0, 0.0]) == [0, 1, 1, 0]  # v: -0.1, 2.9, 1.9, 0.9
    hard = Rate(**ONE, reset="zero")
    assert messages(hard, [0.4] * 5) == [0, 1, 0, 0, 1]  # v: 0.9, 1.3 -> 0, 0.4, 0.8, 1.2 -> 0


def test_signed_rate_by_hand():
    signed = SignedRate(**ONE, negative_slope=0.5)
    # -1 at or below (1 - 2) / 2 and adds 2. v: -0.5 + 2, 0.5, -0.5 + 2
    assert messages(signed, [-1.0] * 3) == [-1, 0, -1]
    assert messages(signed, [0.5] * 4) == [1, 0, 1, 0]
    # After a spike it takes back at -1, adding 1 only. v: 0.5, -0.5, -1.5 + 1, -1.5 + 2
    assert messages(signed, [1.0, -1.0, -1.0, -1.0]) == [1, 0, -1, -1]
    # After -1 it takes back at (1 + 6) / 2, losing 2. v: -0.5 + 2, 3, 4.5 - 2, 2.5 - 1
    assert messages(signed, [-1.0, 1.5, 1.5, 0.0]) == [-1, 0, 1, 1]


def test_graded_by_hand():
    four = Graded(**ONE, levels=4)
    inputs = [-0.3, 0.12, 0.125, 0.374, 0.375, 1.0, 7.0]
    assert messages(four, inputs) == [0, 0, 1, 1, 2, 4, 4]
    signed = Graded(**ONE, levels=4, negative_slope=0.5)
    assert messages(signed, [-0.24, -0.25, -0.7, -0.75, -9.0, 0.2]) == [0, -1, -1, -2, -4, 1]


def test_sigma_delta_by_hand():
    # sigma: 0.4, 0.7, 1.2, 0.2, -0.5; change against what was sent
    sent = messages(SigmaDelta(**ONE, vth=0.5), [0.4, 0.3, 0.5, -1.0, -0.7])
    assert sent == pytest.approx([0, 0.7, 0.5, -1.0, 0])


def test_sigma_delta_is_lavas():
    models = pytest.importorskip("lava.proc.sdn.models", reason="Lava is not installed")
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(50, 7))
    lavas = object.__new__(models.PySigmaDeltaModelFloat)
    for name in ("sigma", "act", "residue", "error", "bias"):
        setattr(lavas, name, np.zeros(7))
    lavas.vth, lavas.cum_error, lavas.act_mode = 0.6, False, models.ActivationMode.RELU
    ours = SigmaDelta(**ONE | {"shape": (7,)}, vth=0.6)
    state, n_silent = ours.start(torch.zeros(1, 7, dtype=torch.float64)), 0
    for step in inputs:
        message, state = ours.step(torch.from_numpy(step)[None], state)
        np.testing.assert_array_equal(message[0].numpy(), lavas.dynamics(step))
        n_silent += int((message == 0).sum())
    assert 20 < n_silent < 300


def quantised_network(levels, *, layers=6, width=256, seed=0):
    """Random matrices and quantised activations, as in the acceptance test."""
    torch.manual_seed(seed)
    parts = []
    for _ in range(layers):
        linear = nn.Linear(width, width)
        nn.init.normal_(linear.weight, std=(2 / width) ** 0.5)
        nn.init.normal_(linear.bias, std=0.1)
        parts += [linear, QCFS(levels, lam=2.0)]
    return nn.Sequential(*parts).double().eval()


def activations(module, images):
    """The output of every QCFS, by name."""
    found = {}
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: found.update({name: out}))
        for name, part in module.named_modules()
        if isinstance(part, QCFS)
    ]
    with torch.no_grad():
        module(images)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("levels", [4, 8, 16, 32])
def test_graded_is_the_quantised_network_in_every_layer(levels):
    module = quantised_network(levels)
    images = torch.randint(0, 256, (16, 256)).double() / 255
    spiking = convert(module, images, code="graded", input_scale=1 / 255)
    expected, found = activations(module, images), spiking.record(images)
    for name, activation in expected.items():
        levels_found = torch.round(
            found.activations[name][0] / spiking.report.layers[0].theta[0] * levels
        )
        assert torch.equal(levels_found, torch.round(activation / 2 * levels))
    assert len(expected) == 6
    torch.testing.assert_close(found.features[0], module(images).detach())


def rate_errors(steps, reset):
    """Mean error of the rates of the first and the last layer, as a share of the threshold."""
    module = quantised_network(steps)
    images = torch.randint(0, 256, (16, 256)).double() / 255
    spiking = convert(module, images, code="rate", steps=steps, input_scale=1 / 255, reset=reset)
    expected, found = activations(module, images), spiking.record(images).activations
    return [float((found[n][-1] - expected[n]).abs().mean()) / 2 for n in ("1", "11")]


def test_rate_codes_error_falls_with_the_steps_and_hard_resets_does_not():
    soft = {steps: rate_errors(steps, "subtract") for steps in (4, 8, 16, 32)}
    hard = {steps: rate_errors(steps, "zero") for steps in (4, 32)}
    for steps, (first, last) in soft.items():
        assert first < 1e-12  # constant input: exact
        assert last > 0.001  # unevenness in the layers behind
        if steps > 4:
            assert 0.35 < last / soft[steps // 2][1] < 0.75  # about 1 / T
    assert soft[4][1] == pytest.approx(0.1, abs=0.05)
    assert hard[32][1] > 0.8 * hard[4][1] > 0.8 * soft[4][1]


def leaky_network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.LeakyReLU(0.3),
        nn.Flatten(),
        nn.Linear(24, 5),
        nn.LeakyReLU(0.1),
    ).eval()


@pytest.mark.parametrize("form", ["signed", "pair"])
@pytest.mark.parametrize("code", ["rate", "graded", "sigma_delta"])
def test_leaky_relu_in_fine_steps_is_the_network(code, form):
    module, images = leaky_network(), torch.rand(6, 2, 8, 8) * 2 - 1
    spiking = convert(
        module,
        images,
        code=code,
        levels=4096,
        steps=4096,
        calibration=images,
        covered=1.0,
        activation=form,
        input_bits=12,
    )
    with torch.no_grad():
        expected = module(images).double()
    n_neurons = 4 * 64 + 6 * 4 + 5
    assert spiking.report.neurons == n_neurons * (2 if form == "pair" else 1)
    torch.testing.assert_close(spiking.run(images)[-1], expected, atol=4e-3, rtol=0)
    assert expected.min() < -0.005


def test_cutting_the_negative_side_off_is_said_and_costs():
    module, images = leaky_network(), torch.rand(6, 2, 8, 8) * 2 - 1
    cut = convert(module, images, code="graded", levels=4096, calibration=images)
    assert str(cut.report).count("its negative side is cut off") == 3
    for part in module:
        if isinstance(part, nn.LeakyReLU):
            part.negative_slope = 0.0
    with torch.no_grad():
        expected = module(cut.input_code.quantised(images)).double()
    torch.testing.assert_close(cut.run(images)[-1], expected, atol=4e-3, rtol=0)


def test_a_negative_side_that_was_trained_is_not_cut_off():
    module = nn.Sequential(nn.Linear(3, 2), QCFS(4, negative_slope=0.2))
    with pytest.raises(ModelError, match="1: trained with a negative side"):
        convert(module, torch.ones(1, 3), code="graded")
    for form in ("signed", "pair"):
        convert(module, torch.ones(1, 3), code="graded", activation=form)


def test_streams_of_a_sigma_delta_network():
    module, images = leaky_network(), torch.rand(3, 9, 2, 8, 8)
    still = images[:, :1].expand(-1, 9, -1, -1, -1)
    every = convert(
        module, images[0], code="sigma_delta", activation="signed", calibration=images[0]
    )
    with torch.no_grad():
        seen = every.input_code.quantised(images.double())
        expected = module.double()(seen.flatten(0, 1)).unflatten(0, (3, 9)).transpose(0, 1)
    torch.testing.assert_close(every.run(images), expected)
    once, often = every.record(still), every.record(images)
    assert once.messages["1"] <= 256 < often.messages["1"]
    assert once.operations["6"] < often.operations["6"] / 4
    coarse = convert(
        module, images[0], code="sigma_delta", activation="signed", calibration=images[0], delta=0.1
    )
    rough = coarse.record(images)
    assert sum(rough.operations.values()) < sum(often.operations.values())
    assert 0 < (rough.features - expected).abs().mean() < 0.2 * expected.abs().mean()


def test_operations_are_counted_by_hand():
    # One pixel in a corner of 3×3: a kernel of 3×3 with padding 1 reaches 4 places, 2 channels.
    module = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(18, 5))
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module[0].bias.zero_()
    image = torch.zeros(1, 1, 3, 3)
    image[..., 0, 0] = 1
    found = convert(module, image, code="graded", calibration=image, input_bits=1).record(image)
    assert found.messages == {"input": 1, "1": 8}
    assert found.operations == {"0": 8, "3": 40}


def test_only_the_last_images_count_of_thresholds_by_hand():
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU())
    nn.init.ones_(module[0].weight)
    images = torch.arange(1, 1001.0)[:, None]
    spiking = convert(module, images, code="rate", calibration=images, input_bits=16, input_scale=1)
    assert spiking.report.layers[0].theta == (999.0, 999.0)  # one value of 1000 is above
    largest = convert(
        module, images, code="rate", calibration=images, input_bits=16, input_scale=1, covered=1.0
    )
    assert largest.report.layers[0].theta == (1000.0, 1000.0)


def test_channels_of_their_own():
    torch.manual_seed(0)
    module, images = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), torch.rand(20, 1, 6, 6)
    with torch.no_grad():
        module[0].weight[2] *= 0.01
        module[0].weight.abs_()
        module[0].bias.zero_()
    coarse, fine = (
        convert(module, images, code="graded", calibration=images, covered=1.0, per_channel=own)
        for own in (False, True)
    )
    assert fine.report.layers[0].theta[0] < 0.1 * fine.report.layers[0].theta[1]
    assert coarse.report.layers[0].theta[0] == coarse.report.layers[0].theta[1]
    with torch.no_grad():
        expected = module(images).flatten(1).double()
    errors = [(s.run(images)[0] - expected)[:, 32:].abs().mean() for s in (coarse, fine)]
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"code": "ttfs"}, "code must be one of rate"),
        ({"levels": 0}, "levels"),
        ({"steps": 0}, "steps"),
        ({"covered": 0.0}, "covered"),
        ({"activation": "relu"}, "activation"),
        ({"reset": "half"}, "reset"),
        ({"delta": -1.0}, "delta"),
        ({"input_bits": 40}, "input_bits"),
        ({"calibration": None}, "1: have no thresholds"),
        ({"calibration": torch.zeros(2, 3)}, "not all 0"),
    ],
)
def test_refuses_options(options, found):
    module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    given = {"code": "rate", "calibration": torch.ones(2, 3)} | options
    with pytest.raises(ModelError, match=found):
        convert(module, torch.ones(1, 3), **given)


def test_refuses_images_of_another_shape():
    module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    spiking = convert(module, torch.ones(1, 3), code="rate", calibration=torch.ones(2, 3))
    with pytest.raises(ModelError, match=r"\(2, 4\)"):
        spiking.run(torch.ones(2, 4))


def test_every_change_needs_no_thresholds():
    torch.manual_seed(0)
    module, images = nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.rand(5, 3)
    spiking = convert(module, images, code="sigma_delta", input_bits=16)
    with torch.no_grad():
        expected = module(images).double()
    torch.testing.assert_close(spiking.run(images)[0], expected, atol=1e-4, rtol=0)
    with pytest.raises(ModelError, match="1: have no thresholds"):
        convert(module, images, code="sigma_delta", delta=0.1)
