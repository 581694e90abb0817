"""Small random networks that use everything a ChipNetwork can say: tests and benchmarks draw them.

>>> network = random_graph(7, {"conv", "recurrent", "delay"})
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import (
    Cuba,
    Delta,
    Levels,
    Relay,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from hardware.chip.synapses import Conv, Dense, Direct, Sparse

FEATURES = frozenset(
    {"conv", "dense", "sparse", "residual", "skip", "recurrent", "delay", "graded", "sigma_delta"}
    | {
        "subtract",
        "refractory",
        "resets",
        "v_init",
        "per_neuron",
        "bias_input",
        "resonator",
        "levels",
    }
    | {"extreme"}
)


def random_graph(seed, features=FEATURES, input_shape=None, input_bits=None):
    """A network that uses the named `FEATURES` only, of the given input or a drawn one.

    Images up to 8 x 8, up to 6 channels, two to five populations. A feature is used with some
    probability wherever it is possible, so a test needs many seeds. Without ``conv``, ``dense``
    and ``sparse`` layers are dense. Recurrent delays are sometimes too short for pipelined time.
    """
    return GraphBuilder(seed, features, input_shape, input_bits).build()


def features_of(network):
    """Which of `FEATURES` a network uses, as far as it shows; exponents stand for the extremes."""
    found = {synapse.KIND for synapse in network.synapses}
    for synapse in network.synapses:
        found |= {
            name
            for name, has in {
                "residual": len(synapse.sources) > 1,
                "skip": sum(not network.is_recurrent(s) for s in network.incoming(synapse.target))
                > 1,
                "recurrent": network.is_recurrent(synapse),
                "delay": synapse.delays[1] > 0,
                "graded": getattr(synapse, "message_bits", 0) > 0,
                "extreme": getattr(synapse, "weight_exp", 0) != 0,
                "bias_input": synapse.port == "bias",
            }.items()
            if has
        }
    for population in network.populations:
        found |= {
            name
            for name, has in {
                population.KIND: True,
                "subtract": getattr(population, "reset", "") == "subtract",
                "refractory": getattr(population, "refractory", 0) > 0,
                "resets": population.reset_interval > 0,
                "v_init": np.any(getattr(population, "v_init", 0)),
                "per_neuron": len(population.shape) > 1
                and any(
                    getattr(population, a).shape == population.shape for a in population.ARRAYS
                ),
            }.items()
            if has
        }
    return found


def random_frames(network, seed, *, samples=2, steps=9, rate=0.3):
    rng = np.random.default_rng(seed)
    shape = (samples, steps, *network.input_shape)
    active = rng.random(shape) < rate
    if network.input_bits == 0:
        return active.astype(np.uint8)
    limit = 1 << network.input_bits
    return np.where(active, rng.integers(1 - limit, limit, shape), 0)


class GraphBuilder:
    """Draws one network; ``sometimes("feature")`` is the only way a feature gets in."""

    def __init__(self, seed, features=FEATURES, input_shape=None, input_bits=None):
        assert features <= FEATURES, features - FEATURES
        self.rng = np.random.default_rng(seed)
        self.features = frozenset(features)
        self.input_shape, self.input_bits = input_shape, input_bits
        self.populations, self.synapses = [], []
        self.shapes = {}

    def sometimes(self, feature, probability=0.5):
        return feature in self.features and self.rng.random() < probability

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def build(self):
        self.shapes[INPUT] = self.input_shape or self.draw_input_shape()
        self.sigma_delta = self.input_bits != 0 and self.sometimes("sigma_delta")
        input_bits = self.draw_input_bits() if self.input_bits is None else self.input_bits
        if self.sigma_delta or self.sometimes("bias_input"):
            self.direct()
        for _ in range(self.integer(1, 4)):
            self.layer()
        if "sigma_delta" in self.features and self.sigma_delta and self.rng.random() < 0.3:
            self.direct(Sigma)
        for _ in range(self.integer(1, 2)):
            if self.sometimes("recurrent"):
                self.recurrence()
        membrane = self.populations[-1].KIND == "cuba" and self.rng.random() < 0.25
        return ChipNetwork(
            input_shape=self.shapes[INPUT],
            input_bits=input_bits,
            populations=tuple(self.populations),
            synapses=tuple(self.synapses),
            readout="membrane" if membrane else "spike_count",
        )

    def draw_input_shape(self):
        weighted = self.features & {"conv", "dense", "sparse"}
        image = "conv" in weighted and self.rng.random() < (0.8 if len(weighted) > 1 else 1)
        size = (3, self.integer(3, 8), self.integer(3, 8)) if image else (self.integer(2, 12),)
        return (self.integer(1, 3), *size[1:]) if image else size

    def draw_input_bits(self):
        if not (self.sigma_delta or self.sometimes("graded")):
            return 0
        return 24 if self.sometimes("extreme") else self.integer(1, 8)

    def direct(self, model=None):
        """A population that is written one to one, in its bias or its input."""
        source = list(self.shapes)[-1]
        target = self.add_population(self.shapes[source], 60, model or self.encoder())
        into_bias = self.populations[-1].KIND == "cuba" and self.rng.random() < 0.7
        port = "bias" if into_bias else "input"
        self.synapses.append(Direct(sources=(source,), target=target, port=port))

    def encoder(self):
        return Delta if self.sigma_delta else Cuba

    def layer(self):
        """A population with one synapse from the last one, and perhaps further synapses."""
        source = list(self.shapes)[-1]
        sources = (source,)
        alike = [n for n in self.shapes if self.shapes[n] == self.shapes[source] and n != source]
        if alike and self.sometimes("residual", 0.7):
            sources = (source, str(self.rng.choice(alike)))
        synapse = self.draw_synapse(self.shapes[source], sources=sources, target="?")
        shape = synapse.target_shape(self.shapes[source])
        fan_in = max(synapse.weight.size // shape[0], 1)
        typical_input = max(60 * np.sqrt(fan_in) * 2.0**synapse.weight_exp, 1)
        target = self.add_population(shape, typical_input, self.draw_model())
        port = self.draw_port(target)
        self.synapses.append(replace(synapse, target=target, port=port))
        if self.sometimes("skip"):
            earlier = str(self.rng.choice([n for n in self.shapes if n != target]))
            self.bridge(earlier, target)

    def bridge(self, source, target, shortest_delay=0):
        """A synapse between two given populations, if there is one that fits."""
        before, after = self.shapes[source], self.shapes[target]
        ends = {"sources": (source,), "target": target, "port": self.draw_port(target)}
        common = self.common(shortest_delay)
        if len(after) == 1:
            weight = self.draw_weight((after[0], int(np.prod(before))))
            self.synapses.append(Dense(weight=weight, **common, **ends))
        elif len(before) == 3 and before[1] >= after[1] and before[2] >= after[2]:
            kernel = tuple(b - a + 1 for b, a in zip(before[1:], after[1:], strict=True))
            weight = self.draw_weight((after[0], before[0], *kernel))
            self.synapses.append(Conv(weight=weight, **common, **ends))

    def recurrence(self):
        """A synapse from a population back to itself or an earlier one."""
        names = [p.name for p in self.populations]
        last = self.integer(0, len(names) - 1)
        first = self.integer(0, last)
        shortest = 1 + (last - first if self.rng.random() < 0.7 else 0)
        self.bridge(names[last], names[first], shortest)

    def common(self, shortest_delay=0):
        """Exponent, message bits and delay of a synapse."""
        delay = shortest_delay + (self.integer(0, 4) if self.sometimes("delay") else 0)
        bits = self.sigma_delta or self.features & {"graded", "residual", "levels"}
        exponent = self.integer(-8, 7) if self.sometimes("extreme") else 0
        if not exponent and bits and self.sometimes("graded"):
            exponent = self.integer(-6, 0)
        return {
            "weight_exp": exponent,
            "message_bits": int(self.rng.choice([0, 2, 8, 24])) if bits else 0,
            "delay": delay,
        }

    def draw_synapse(self, shape, **ends):
        kinds = sorted(self.features & {"conv", "dense", "sparse"}) or ["dense"]
        if len(shape) == 1:
            kinds = [kind for kind in kinds if kind != "conv"] or ["dense"]
        kind = "conv" if "conv" in kinds and self.rng.random() < 0.5 else self.rng.choice(kinds)
        return getattr(self, f"draw_{kind}")(shape, **self.common(), **ends)

    def draw_dense(self, shape, **common):
        weight = self.draw_weight((self.integer(1, 6), int(np.prod(shape))))
        if self.sometimes("delay", 0.3):
            spread = [weight.shape, (len(weight), 1), (1, weight.shape[1])][self.integer(0, 2)]
            common["delay"] += self.rng.integers(0, 4, spread).astype(np.int32)
        return Dense(weight=weight, **common)

    def draw_sparse(self, shape, **common):
        weight = self.draw_weight((self.integer(1, 6), int(np.prod(shape)))).T
        exists = self.rng.random(weight.shape) < 0.3
        offsets = np.concatenate(([0], np.cumsum(exists.sum(axis=1)))).astype(np.int64)
        return Sparse(
            weight=weight[exists],
            targets=np.nonzero(exists)[1].astype(np.int32),
            offsets=offsets,
            n_targets=weight.shape[1],
            **common,
        )

    def draw_conv(self, shape, **common):
        channels, *size = shape
        groups = self.integer(1, 2) if channels % 2 == 0 else 1
        if self.rng.random() < 0.4:  # as large as before: what residual sums need
            weight = self.draw_weight((channels, channels // groups, 3, 3))
            return Conv(weight=weight, padding=(1, 1), groups=groups, **common)
        out = groups * self.integer(1, 6 // groups)
        kernel = [self.integer(1, min(3, s)) for s in size]
        roomy = [1 < k < s / 2 for k, s in zip(kernel, size, strict=True)]
        return Conv(
            weight=self.draw_weight((out, channels // groups, *kernel)),
            stride=(self.integer(1, 3), self.integer(1, 2)),
            padding=(self.integer(0, 2), self.integer(0, 2)),
            dilation=tuple(self.integer(1, 2) if room else 1 for room in roomy),
            groups=groups,
            **common,
        )

    def draw_weight(self, shape):
        if self.rng.random() < 0.2:
            return (self.rng.integers(0, 256, shape) * self.rng.choice([-1, 1])).astype(np.int32)
        if self.sometimes("extreme"):
            return self.rng.choice([-256, 254], shape).astype(np.int32)
        return (2 * self.rng.integers(-128, 128, shape)).astype(np.int32)

    def draw_model(self):
        if self.sigma_delta:
            return SigmaDelta
        if self.sometimes("resonator", 0.4):
            return ResonateAndFire
        if self.sometimes("levels", 0.4):
            return Levels
        return Relay if self.sometimes("graded", 0.3) else Cuba

    def draw_port(self, target):
        kind = next(p.KIND for p in self.populations if p.name == target)
        imaginary = kind == "resonate_and_fire" and self.rng.random() < 0.4
        return "imaginary" if imaginary else "input"

    def add_population(self, shape, typical_input, model):
        name = f"p{len(self.populations)}"
        self.shapes[name] = shape
        self.spread = shape if self.sometimes("per_neuron") else shape[:1]
        parameters = getattr(self, f"draw_{model.KIND}")(typical_input)
        if self.sometimes("resets", 0.6):
            interval = self.integer(1, 6)
            parameters |= {"reset_interval": interval, "reset_phase": self.integer(0, interval - 1)}
        self.populations.append(model(name=name, shape=shape, **parameters))
        return name

    def array(self, low, high, *special):
        values = self.rng.integers(int(low), int(high) + 1, self.spread)
        if special:
            values = np.where(self.rng.random(self.spread) < 0.3, self.rng.choice(special), values)
        return values.astype(np.int32)

    def draw_cuba(self, typical_input):
        wild = self.sometimes("extreme")
        high = min(1.5 * typical_input, 2**17 - 1)
        return {
            "du": self.array(0, 4096, 4096, 0, 40),
            "dv": self.array(0, 4096, 130, 4096, 0),
            "vth": self.array(0, 2**17 - 1, 0, 100) if wild else self.array(0.1 * high, high),
            "bias_mant": self.array(-4095, 4095) if wild else self.array(-10, 30, -15, 20),
            "bias_exp": self.integer(0, 7) if wild else self.integer(3, 6),
            "reset": "subtract" if self.sometimes("subtract") else "zero",
            "v_init": self.array(1 - 2**23, 2**23 - 1, 0) if self.sometimes("v_init") else 0,
            "refractory": self.integer(1, 4) if self.sometimes("refractory") else 0,
        }

    def draw_relay(self, typical_input):
        return {
            "vth": self.array(0, min(typical_input, 2**23 - 1)),
            "rectify": bool(self.integer(0, 1)),
        }

    def draw_levels(self, typical_input):
        """Up to the largest level or beyond it: half of all sums lie inside."""
        levels = int(self.rng.choice([1, 2, 4, 8, 15, 32, 255]))
        highest = (2**23 - 1) // (64 * levels)
        typical = int(np.clip(typical_input / levels, 1, highest))
        signed = self.rng.random() < 0.5
        return {
            "vth": self.array(max(typical // 4, 1), min(2 * typical, highest)),
            "levels": levels,
            "vth_negative": self.array(1, min(6 * typical, 2**17 - 1), 0) if signed else 0,
            "bias_mant": self.array(-30, 30),
            "bias_exp": self.integer(0, 7),
        }

    def draw_sigma(self, typical_input):
        return {}

    def draw_delta(self, typical_input):
        return {
            "vth": self.array(0, 8),
            "spike_exp": self.integer(0, 7),
            "state_exp": self.integer(0, 7),
        }

    def draw_sigma_delta(self, typical_input):
        return {
            **self.draw_delta(typical_input),
            "vth": self.array(0, min(typical_input, 2**23 - 1), 0, 1),
            "bias": self.array(-100, 100),
            "rectify": bool(self.integer(0, 1)),
        }

    def draw_resonate_and_fire(self, typical_input):
        wild = self.sometimes("extreme", 0.3)
        period = self.rng.uniform(2, 12, self.spread)
        radius = 4096 * self.rng.uniform(0.7, 1, self.spread)
        turn = 2 * np.pi / period
        state_exp = self.integer(0, 7)
        return {
            "sin_decay": self.array(-4096, 4096)
            if wild
            else (radius * np.sin(turn)).astype(np.int32),
            "cos_decay": self.array(-4096, 4096)
            if wild
            else (radius * np.cos(turn)).astype(np.int32),
            "vth": self.array(0, min(int(typical_input) << state_exp, 2**23 - 1)),
            "state_exp": state_exp,
            "izhikevich": bool(self.integer(0, 1)),
        }
