"""The networks that the benchmarks run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Population
from hardware.chip.synapses import Conv, Dense, Synapse


def random_spikes(shape: tuple[int, ...], rate: float, seed: int = 1) -> np.ndarray:
    """Independent spikes, uint8."""
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def random_weight(
    rng: np.random.Generator, shape: tuple[int, ...], lowest: int = -48
) -> np.ndarray:
    """Even weights, of mean zero unless the lowest is another one."""
    return (2 * rng.integers(lowest, lowest + 97, shape)).astype(np.int32)


def reference_network(kernel: int = 3) -> ChipNetwork:
    """conv8 (stride 2) - conv16 (stride 2) - dense6 on 2 x 34 x 34: 3,614 neurons."""
    rng = np.random.default_rng(0)
    conv = {"stride": (2, 2), "padding": (kernel // 2,) * 2}
    leak = {"du": 2048, "dv": 512}
    return ChipNetwork(
        input_shape=(2, 34, 34),
        populations=(
            Cuba(name="conv8", shape=(8, 17, 17), vth=400, **leak),
            Cuba(name="conv16", shape=(16, 9, 9), vth=700, **leak),
            Cuba(name="dense6", shape=(6,), vth=9000, **leak),
        ),
        synapses=(
            Conv(
                sources=(INPUT,),
                target="conv8",
                weight=random_weight(rng, (8, 2, kernel, kernel), -40),
                **conv,
            ),
            Conv(
                sources=("conv8",),
                target="conv16",
                weight=random_weight(rng, (16, 8, kernel, kernel), -40),
                **conv,
            ),
            Dense(sources=("conv16",), target="dense6", weight=random_weight(rng, (6, 1296), -40)),
        ),
    )


def conv_chain(layers: int, channels: int = 16, size: int = 16) -> ChipNetwork:
    """Layers of equal size, 3 x 3, each near 5 % spikes."""
    rng = np.random.default_rng(0)
    builder = Rated(input_shape=(channels, size, size), rate=0.05, input_rate=0.05, steps=16)
    source = (INPUT,)
    for index in range(layers):
        weight = random_weight(rng, (channels, channels, 3, 3))
        conv = Conv(sources=source, target=f"conv{index}", weight=weight, padding=(1, 1))
        source = (builder.add(conv),)
    return builder.network()


def sew_resnet18(rate: float = 0.03, steps: int = 6) -> ChipNetwork:
    """A SEW-ResNet-18 (ADD) on 2 x 128 x 128, every layer near ``rate``.

    The stem has stride 4 in the place of a stride 2 and a pooling. Block outputs are sums of
    spikes, read as payloads of 2 bits; downsampling is a 1 x 1 convolution with neurons.
    """
    rng = np.random.default_rng(0)
    builder = Rated(input_shape=(2, 128, 128), rate=rate, input_rate=rate, steps=steps)

    def conv(
        name: str, sources: tuple[str, ...], shape: tuple[int, ...], stride: int, **geometry: int
    ) -> str:
        return builder.add(
            Conv(
                sources=sources,
                target=name,
                weight=random_weight(rng, shape),
                stride=(stride, stride),
                padding=(shape[2] // 2,) * 2,
                message_bits=2 if len(sources) > 1 else 0,
            )
        )

    stream: tuple[str, ...] = (conv("stem", (INPUT,), (64, 2, 7, 7), 4),)
    channels = 64
    for stage, out in enumerate((64, 128, 256, 512), start=1):
        for block in (1, 2):
            name, stride = f"{stage}.{block}", 2 if stage > 1 and block == 1 else 1
            middle = conv(f"{name}.conv1", stream, (out, channels, 3, 3), stride)
            if stride > 1:
                stream = (conv(f"{name}.down", stream, (out, channels, 1, 1), stride),)
            stream = (conv(f"{name}.conv2", (middle,), (out, out, 3, 3), 1), *stream)
            channels = out
    size = (6, int(np.prod(builder.shapes[stream[0]])))
    builder.add(
        Dense(sources=stream, target="classes", weight=random_weight(rng, size), message_bits=2)
    )
    return builder.network()


class Rated:
    """Builds a network layer by layer, with thresholds that make a share ``rate`` of neurons spike.

    Every new layer is run by itself on the spikes of its sources, to see its currents.
    """

    def __init__(
        self, *, input_shape: tuple[int, ...], rate: float, input_rate: float, steps: int
    ) -> None:
        self.rate = rate
        self.shapes = {INPUT: input_shape}
        self.spikes = {INPUT: random_spikes((2, steps, *input_shape), input_rate)}
        self.populations: list[Population] = []
        self.synapses: list[Synapse] = []

    def add(self, synapse: Conv | Dense) -> str:
        """Add a synapse and its target, whose name is returned."""
        name = synapse.target
        arriving = np.sum([self.spikes[source] for source in synapse.sources], axis=0)
        shape = synapse.target_shape(arriving.shape[2:])
        assert shape is not None
        population = Cuba(name=name, shape=shape, du=4096, dv=2048, vth=0)
        alone = ChipNetwork(
            input_shape=arriving.shape[2:],
            input_bits=2,
            populations=(population,),
            synapses=(replace(synapse, sources=(INPUT,)),),
        )
        currents = Simulator().run(alone, arriving, probes=[(name, "u")]).traces[name, "u"]
        mantissa, self.spikes[name] = self._threshold(currents)
        vth = np.full(shape[:1], mantissa, np.int32)
        self.populations.append(replace(population, vth=vth))
        self.synapses.append(synapse)
        self.shapes[name] = shape
        return name

    def _threshold(self, currents: np.ndarray) -> tuple[int, np.ndarray]:
        low, high = 0, int(currents.max()) >> 5
        for _ in range(16):
            middle = (low + high) // 2
            spikes = leaky(currents, middle << 6)
            low, high = (middle, high) if spikes.mean() > self.rate else (low, middle)
        return middle, spikes

    def network(self) -> ChipNetwork:
        """What was added so far."""
        return ChipNetwork(
            input_shape=self.shapes[INPUT],
            populations=tuple(self.populations),
            synapses=tuple(self.synapses),
        )


def leaky(currents: np.ndarray, threshold: int) -> np.ndarray:
    """Spikes ``[N, T, ...]`` of neurons that lose half of their voltage per step."""
    voltage = np.zeros_like(currents[:, 0])
    spikes = np.zeros(currents.shape, np.uint8)
    for step in range(currents.shape[1]):
        voltage = np.sign(voltage) * (np.abs(voltage) >> 1) + currents[:, step]
        spikes[:, step] = voltage > threshold
        voltage[spikes[:, step] > 0] = 0
    return spikes
