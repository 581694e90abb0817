"""The fused engine: spikes bit-equal and gradients equal to norse, spikingjelly, the plain loop."""

import itertools

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from snn import fused_torch
from snn.errors import ModelError
from snn.fused import fused_steps
from snn.neurons import NeuronParameters, from_norse, run_steps
from snn.surrogate import SHAPES, Surrogate

CURRENT_SHAPES = [(1, 5), (16, 1), (7, 3, 11), (4, 2, 3, 5, 7), (3, 2, 4, 40, 61), (9, 4099)]
SETTINGS = [
    {"kind": kind, "gain": 0.3 if kind == "lif" else 1.0, "reset": reset, "detach_reset": detach}
    for kind, reset, detach in itertools.product(("lif", "if"), ("zero", "subtract"), (True, False))
]


def currents(shape, *, seed=0, dtype=torch.float32):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 1.5
    return values.to(dtype)


def outcome(run, current, gain=None):
    """Spikes, last membrane and gradients of a loss that weights every output differently."""
    x = current.detach().clone().requires_grad_()
    share = None if gain is None else torch.tensor(gain, dtype=x.dtype, requires_grad=True)
    spikes, v = run(x) if gain is None else run(x, gain=share)
    loss = (spikes * currents(spikes.shape, seed=1, dtype=spikes.dtype)).sum()
    (loss + (v * currents(v.shape, seed=2, dtype=v.dtype)).sum()).backward()
    return spikes.detach(), v.detach(), x.grad, None if gain is None else share.grad


def assert_close(gradient, expected, tolerance=1e-5):
    assert gradient.shape == expected.shape
    assert (gradient - expected).abs().max() <= tolerance * expected.abs().max()


def assert_same(result, expected):
    assert torch.equal(result[0], expected[0])
    assert torch.equal(result[1], expected[1])
    assert_close(result[2], expected[2])


class TestAgainstNorse:
    @pytest.fixture
    def norse(self):
        return pytest.importorskip("norse.torch", reason="norse is not installed")

    @pytest.mark.parametrize("shape", CURRENT_SHAPES)
    @pytest.mark.parametrize("tau_mem_inv", [0.5, 0.3, 0.9])
    def test_leaky(self, norse, shape, tau_mem_inv):
        p = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(tau_mem_inv), v_th=torch.tensor(0.7))
        self.compare(norse.LIFBoxCell(p, dt=1.0), from_norse(p, dt=1.0), currents(shape))

    @pytest.mark.parametrize("method", ["super", "heavi_erfc", "tanh", "triangle", "circ"])
    @pytest.mark.parametrize("reset", ["reset_value", "reset_subtract"])
    def test_surrogates_and_resets(self, norse, method, reset):
        from norse.torch.functional import reset as resets

        p = norse.LIFBoxParameters(
            tau_mem_inv=torch.tensor(333.0),
            method=method,
            alpha=torch.tensor(0.8),
            reset_method=getattr(resets, reset),
        )
        self.compare(norse.LIFBoxCell(p, dt=0.001), from_norse(p, dt=0.001), currents((11, 3, 50)))

    @pytest.mark.parametrize("shape", CURRENT_SHAPES)
    def test_integrator(self, norse, shape):
        p = norse.IAFParameters(method="tanh", alpha=2.0)
        self.compare(norse.IAFCell(p), from_norse(p), currents(shape) * 0.5)

    def compare(self, cell, parameters, current):
        def loop(x):
            state, train = None, []
            for step in x:
                s, state = cell(step, state)
                train.append(s)
            return torch.stack(train), state.v

        expected = outcome(loop, current)
        assert current.numel() < 20 or 0 < expected[0].mean() < 1
        assert_same(outcome(lambda x: fused_steps(x, parameters), current), expected)


class TestAgainstSpikingjelly:
    """It fires at the threshold, we above it: random currents do not meet it exactly."""

    @pytest.fixture
    def jelly(self):
        return pytest.importorskip(
            "spikingjelly.activation_based", reason="spikingjelly is not installed"
        )

    def settings(self, **more):
        from spikingjelly.activation_based import surrogate

        return {"surrogate_function": surrogate.ATan(alpha=2.0), "step_mode": "m", **more}

    @pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
    def test_lif_and_if(self, jelly, settings):
        from spikingjelly.activation_based import neuron

        leaky = settings["kind"] == "lif"
        parameters = NeuronParameters(**{**settings, "gain": 0.5 if leaky else 1.0})
        theirs = self.settings(
            v_reset=0.0 if parameters.reset == "zero" else None,
            detach_reset=parameters.detach_reset,
        )
        node = neuron.LIFNode(2.0, **theirs) if leaky else neuron.IFNode(**theirs)
        expected = outcome(lambda x: (node(x), node.v), currents((6, 4, 33)))
        assert_same(outcome(lambda x: fused_steps(x, parameters), currents((6, 4, 33))), expected)

    def test_plif(self, jelly):
        from spikingjelly.activation_based import neuron

        node = neuron.ParametricLIFNode(3.0, **self.settings(detach_reset=True))
        x, weights = currents((6, 4, 33)), currents((6, 4, 33), seed=1)
        expected = node(x)
        (expected * weights).sum().backward()
        w = node.w.detach().clone().requires_grad_()
        spikes, _ = fused_steps(x, NeuronParameters(), gain=w.sigmoid())
        (spikes * weights).sum().backward()
        assert torch.equal(spikes, expected)
        assert_close(w.grad, node.w.grad)


class TestAgainstThePlainLoop:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
    def test_every_surrogate_and_reset(self, shape, settings):
        parameters = NeuronParameters(threshold=0.7, surrogate=Surrogate(shape, 1.6), **settings)
        self.compare(currents((5, 3, 400)), parameters)

    @pytest.mark.parametrize("reset", ["zero", "subtract"])
    def test_learnable_gain(self, reset):
        self.compare(currents((6, 2, 3000)), NeuronParameters(reset=reset), gain=0.4)

    @pytest.mark.parametrize("settings", SETTINGS[:4], ids=lambda s: "-".join(map(str, s.values())))
    def test_chip_grid(self, settings):
        parameters = NeuronParameters(**{**settings, "gain": 0.5}, grid_scale=2.0)
        self.compare(torch.round(currents((12, 500)) * 128) / 128, parameters)

    def compare(self, current, parameters, gain=None):
        expected = outcome(lambda x, **o: run_steps(x, parameters, **o), current, gain)
        for in_place in (False, True):

            def run(x, in_place=in_place, **options):
                return fused_steps(x + 0, parameters, in_place=in_place, **options)

            result = outcome(run, current, gain)
            assert_same(result, expected)
            if gain is not None:
                assert_close(result[3], expected[3], 1e-4)  # a sum whose terms cancel


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
def test_torch_path_has_the_gradients_of_autograd(shape, settings):
    """What other devices run, here in float64 against autograd through the plain loop."""
    parameters = NeuronParameters(surrogate=Surrogate(shape, 1.6), **settings)
    x = currents((5, 2, 40), dtype=torch.float64)
    share = None if settings["kind"] == "if" else 0.35
    expected = outcome(lambda x, **o: run_steps(x, parameters, **o), x, share)
    gain = 1.0 if share is None else share
    spikes, v = fused_torch.forward(x, parameters, gain)
    target = torch.empty_like(x)
    weights, last = currents(x.shape, seed=1).double(), currents(v.shape, seed=2).double()
    grad_gain = fused_torch.backward(
        x, weights, last, target, parameters, gain, wants_gain=share is not None
    )
    assert torch.equal(spikes, expected[0])
    assert torch.equal(v, expected[1])
    assert_close(target, expected[2], 1e-12)
    if share is not None:
        assert_close(grad_gain, expected[3], 1e-11)


def test_float64_takes_the_torch_path():
    x = currents((4, 30), dtype=torch.float64)
    expected = outcome(lambda x: run_steps(x, NeuronParameters()), x)
    result = outcome(lambda x: fused_steps(x, NeuronParameters()), x)
    assert result[2].dtype == torch.float64
    assert_same(result, expected)


class TestBfloat16:
    def test_is_float32_on_rounded_currents(self):
        x = currents((6, 3, 200), dtype=torch.bfloat16)
        parameters = NeuronParameters(gain=0.3)
        expected = outcome(lambda x: fused_steps(x, parameters), x.float())
        spikes, v, gradient, _ = outcome(lambda x: fused_steps(x, parameters), x)
        assert (spikes.dtype, v.dtype, gradient.dtype) == (x.dtype, torch.float32, x.dtype)
        assert torch.equal(spikes.float(), expected[0])
        assert torch.equal(v, expected[1])

    def test_gradients_are_float32s_rounded_to_nearest(self):
        x = currents((6, 3, 200), dtype=torch.bfloat16)
        weights = currents(x.shape, seed=1, dtype=torch.bfloat16)

        def gradient(x):
            x = x.detach().clone().requires_grad_()
            spikes, _ = fused_steps(x, NeuronParameters())
            spikes.backward(weights.to(x.dtype))
            return x.grad

        assert torch.equal(gradient(x), gradient(x.float()).bfloat16())

    def test_what_is_not_a_number_stays_so(self):
        x = currents((2, 5), dtype=torch.bfloat16).requires_grad_()
        spikes, _ = fused_steps(x, NeuronParameters())
        spikes.backward(torch.full_like(x, float("nan")))
        assert x.grad.isnan().all()


class TestMemoryOrder:
    def test_channels_last_stays_channels_last(self):
        x = currents((3, 2, 4, 5, 6))
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        last = flat.unflatten(0, (3, 2))
        spikes, v = fused_steps(last, NeuronParameters())
        assert spikes.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
        assert v.is_contiguous(memory_format=torch.channels_last)
        expected = run_steps(x, NeuronParameters())
        assert torch.equal(spikes, expected[0])
        assert torch.equal(v, expected[1])

    @pytest.mark.parametrize(
        "change",
        [
            lambda x: x.transpose(0, 1),  # steps inside
            lambda x: x[:, ::2],
            lambda x: x[:, :, :1].expand(-1, -1, 7),
            lambda x: x[::2],
            lambda x: x.permute(0, 2, 1),
            lambda x: x[:, :0],
        ],
    )
    def test_any_other_order_is_the_same_neurons(self, change):
        x = currents((4, 6, 7))
        expected = outcome(lambda x: run_steps(change(x), NeuronParameters()), x)
        result = outcome(lambda x: fused_steps(change(x), NeuronParameters()), x)
        assert torch.equal(result[0], expected[0])
        assert torch.equal(result[1], expected[1])
        torch.testing.assert_close(result[2], expected[2], rtol=1e-5, atol=1e-6)

    def test_gradients_in_another_order(self):
        x = currents((3, 2, 4, 5, 6))

        def plain_after_channels_last(x, run):
            flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            spikes, v = run(flat.unflatten(0, (3, 2)), NeuronParameters())
            return spikes.contiguous(), v.contiguous()

        expected = outcome(lambda x: plain_after_channels_last(x, run_steps), x)
        assert_same(outcome(lambda x: plain_after_channels_last(x, fused_steps), x), expected)


class TestInPlace:
    def test_takes_the_current_for_its_gradient(self):
        leaf = currents((4, 100)).requires_grad_()
        x = leaf * 2
        before = x.detach().clone()
        spikes, _ = fused_steps(x, NeuronParameters(), in_place=True)
        assert torch.equal(x.detach(), before)  # the forward pass leaves it alone
        spikes.sum().backward()
        torch.testing.assert_close(leaf.grad, 2 * x.detach())

    def test_another_user_of_the_current_is_told(self):
        leaf = currents((4, 100)).requires_grad_()
        x = leaf.exp()  # needs its output for its gradient
        spikes, _ = fused_steps(x, NeuronParameters(), in_place=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            spikes.sum().backward()

    def test_a_second_backward_is_told(self):
        x = currents((4, 100)).requires_grad_() + 0
        spikes, _ = fused_steps(x, NeuronParameters(), in_place=True)
        spikes.sum().backward(retain_graph=True)
        with pytest.raises(ModelError, match="runs once; use in_place=False"):
            spikes.sum().backward()

    def test_a_parameter_is_refused(self):
        with pytest.raises(ModelError, match="leaf"):
            fused_steps(currents((4, 10)).requires_grad_(), NeuronParameters(), in_place=True)

    def test_without_it_backward_runs_twice(self):
        x = currents((4, 100)).requires_grad_()
        spikes, _ = fused_steps(x, NeuronParameters())
        spikes.sum().backward(retain_graph=True)
        once = x.grad.clone()
        spikes.sum().backward()
        torch.testing.assert_close(x.grad, 2 * once)


def test_only_the_last_membrane_is_used():
    x = currents((5, 60))

    def gradient(run):
        leaf = x.clone().requires_grad_()
        run(leaf, NeuronParameters())[1].sum().backward()
        return leaf.grad

    assert_close(gradient(fused_steps), gradient(run_steps))


def test_threads_change_no_bit():
    threads, x = torch.get_num_threads(), currents((6, 3, 5000))
    results = []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append(outcome(lambda x, **o: fused_steps(x, NeuronParameters(), **o), x, 0.4))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_mistaken_currents_are_refused():
    with pytest.raises(ModelError, match="at least one"):
        fused_steps(torch.zeros(0, 3), NeuronParameters())
    with pytest.raises(ModelError, match="int64"):
        fused_steps(torch.ones(2, 3, dtype=torch.long), NeuronParameters())
    with pytest.raises(ModelError, match=r"\(2,\)"):
        fused_steps(torch.ones(2, 3), NeuronParameters(), gain=torch.ones(2))
