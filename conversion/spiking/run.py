"""How a network of messages is run in floats, and what is counted on the way.

All layers see the messages of their own step. A still image is given anew in every step of a rate
code, and once to the others. The activation that messages stand for is read over the steps ``t``:

    rate           unit sum_t m / t        graded   unit m_t        sigma-delta   unit sum_t m

and so are the sums of an output without neurons. Changes carry no biases: a sigma-delta network
adds them once, in its first step, which is ``f(sigma + b)`` in every step.

>>> recorded(network, messages, code="rate").features.shape  # [T, N, F]
torch.Size([8, 2, 32])
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from conversion.spiking.fold import SpikingNetwork
from conversion.spiking.graph import (
    INPUT,
    Convolution,
    Dense,
    Flatten,
    Node,
    Sum,
    SumPool,
    along_channels,
)
from conversion.spiking.neurons import READINGS, Code, Neurons, Reading, State


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """What a run was.

    Parameters
    ----------
    features : Tensor of shape (T, N, F)
        The answer as it is known after each step.
    activations : dict of str to Tensor of shape (T, N, C, ...)
        What the messages of each population stand for, likewise.
    messages : dict of str to float
        Messages of the input and each population per sample, all steps together.
    operations : dict of str to float
        Synaptic operations of each linear node per sample: messages times the synapses they reach,
        without those in the padding. One of a rate code is an addition, of the others a
        multiplication of small whole numbers. Pooling counts as a synapse.
    """

    features: torch.Tensor
    activations: dict[str, torch.Tensor]
    messages: dict[str, float]
    operations: dict[str, float]


def features_over_steps(
    network: SpikingNetwork, messages: torch.Tensor, *, code: Code
) -> torch.Tensor:
    """The answer after each step.

    Parameters
    ----------
    network : SpikingNetwork
    messages : Tensor of shape (T, N, *input_shape)
        Of the input. A tensor that was expanded along T is a still image, and what follows from
        it alone is computed once.
    code : {"rate", "graded", "sigma_delta"}

    Returns
    -------
    Tensor of shape (T, N, F)
    """
    reader = _Reader(network.output_unit, READINGS[code])
    steps = _steps(network, messages, code)
    return torch.stack([reader.read(values[network.output]) for values in steps]).flatten(2)


def recorded(network: SpikingNetwork, messages: torch.Tensor, *, code: Code) -> Recording:
    """The answer, and everything about the way there; parameters as ``features_over_steps``."""
    units = {node.name: node.unit for node in network.neurons}
    readers = {name: _Reader(unit, READINGS[code]) for name, unit in units.items()}
    output, found = _Reader(network.output_unit, READINGS[code]), []
    activations: dict[str, list[torch.Tensor]] = {name: [] for name in units}
    counts = dict.fromkeys((INPUT, *units), 0.0)
    operations = {node.name: 0.0 for node in network.nodes if _is_synapse(node)}
    n_samples = messages.shape[1]
    for values in _steps(network, messages, code):
        for name in counts:
            counts[name] += int((values[name] != 0).sum()) / n_samples
        for node in network.nodes:
            if _is_synapse(node):
                operations[node.name] += _reached(node, values[node.sources[0]]) / n_samples
        for name, reader in readers.items():
            activations[name].append(reader.read(values[name]))
        found.append(output.read(values[network.output]))
    return Recording(
        features=torch.stack(found).flatten(2),
        activations={name: torch.stack(values) for name, values in activations.items()},
        messages=counts,
        operations=operations,
    )


@dataclass
class _Reader:
    """Messages or sums so far, as an activation."""

    unit: torch.Tensor
    reading: Reading
    total: torch.Tensor | None = None
    steps: int = field(default=0)

    def read(self, values: torch.Tensor) -> torch.Tensor:
        """The activation after a further step."""
        self.steps += 1
        if self.reading == "latest" or self.total is None:
            self.total = values
        else:
            self.total = self.total + values
        activation = self.total * along_channels(self.unit, values)
        return activation / self.steps if self.reading == "mean" else activation


def _steps(
    network: SpikingNetwork, messages: torch.Tensor, code: Code
) -> Iterator[dict[str, torch.Tensor]]:
    """Every node's output in each step, by name."""
    states: dict[str, State] = {}
    is_still = len(messages) > 1 and messages.stride(0) == 0
    still = _before_neurons(network) if is_still else frozenset()
    values: dict[str, torch.Tensor] = {}
    for step, image in enumerate(messages):
        biased = READINGS[code] != "sum" or step == 0
        before, values = values, {INPUT: image}
        for node in network.nodes:
            inputs = [values[source] for source in node.sources]
            if isinstance(node, Neurons):
                state = states[node.name] if step else node.start(inputs[0])
                values[node.name], states[node.name] = node.step(inputs[0], state)
            elif step and node.name in still:
                values[node.name] = before[node.name]
            else:
                values[node.name] = node(inputs, biased=biased)
        yield values


def _before_neurons(network: SpikingNetwork) -> frozenset[str]:
    """Linear nodes that depend on the input alone."""
    found = {INPUT}
    for node in network.nodes:
        if not isinstance(node, Neurons) and found.issuperset(node.sources):
            found.add(node.name)
    return frozenset(found)


def _is_synapse(node: Node) -> bool:
    return not isinstance(node, Neurons | Flatten | Sum)


def _reached(node: Node, messages: torch.Tensor) -> int:
    """How many synapses the messages of a step reach, all samples together."""
    sent = (messages != 0).to(messages.dtype)
    if isinstance(node, Dense):
        return int(sent.sum()) * len(node.weight)
    if isinstance(node, SumPool):
        return int(node([sent]).sum())
    assert isinstance(node, Convolution)
    # Every output of a group has the same synapses: one kernel of ones counts them.
    one = torch.ones_like(node.weight[: node.groups]).to(messages)
    reached = F.conv2d(sent, one, None, node.stride, node.padding, node.dilation, node.groups)
    return int(reached.sum()) * (len(node.weight) // node.groups)
