"""What training minimises: cross-entropy, and on request the price of spikes.

    loss = cross_entropy(logits, labels)
         + rate_penalty  mean_l (rate_l - target_rate)²
         + synop_weight  max(0, operations / synop_budget - 1)

with ``rate_l`` the spikes per neuron and step of layer l, and ``operations`` the synaptic
operations of a clip: spikes times the synapses that one spike reaches. Spikes carry a surrogate
gradient, so both prices are felt by the weights.

>>> logits_of(response, network, TrainingConfig(logit_scale=4.0), n_steps=10)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from snn.models import Network, Response
from snn.training.config import TrainingConfig
from snn.training.distributed import Team


def logits_of(
    response: Response, network: Network, config: TrainingConfig, *, n_steps: int
) -> torch.Tensor:
    """Logits ``[N, classes]``: spike counts scaled, anything else as it is."""
    if network.readout == "spike_count":
        return config.logit_scale * response.scores / n_steps
    return response.scores.float()


@dataclass(frozen=True)
class Activity:
    """Spikes of one batch.

    Parameters
    ----------
    spikes : Tensor, ``[layers]``
        Spikes per clip of each layer, over all processes, with the surrogate's gradient.
    operations : Tensor, 0-d
        Synaptic operations per clip, those of the input's spikes among them.
    neuron_steps : Tensor, ``[layers]``
        Neurons times steps of each layer: what the spikes of a clip are divided by for its rate.
    """

    spikes: torch.Tensor
    operations: torch.Tensor
    neuron_steps: torch.Tensor

    @property
    def rates(self) -> torch.Tensor:
        """Spikes per neuron and step, ``[layers]``."""
        return self.spikes / self.neuron_steps


def activity_of(
    frames: torch.Tensor,
    response: Response,
    network: Network,
    *,
    n_clips: int,
    team: Team,
) -> Activity:
    """What the spikes of a batch of `n_clips`, spread over a team, amount to."""
    trains = response.trains
    counts = [frames.sum(dtype=torch.float32)] + [
        t.sum(dtype=torch.float32) for t in trains.values()
    ]
    totals = team.sum(torch.stack(counts)) / n_clips
    fan_out = [network.fan_out.get(name, 0.0) for name in ("input", *trains)]
    steps = [train.numel() // len(frames) for train in trains.values()]
    return Activity(
        spikes=totals[1:],
        operations=totals @ totals.new_tensor(fan_out),
        neuron_steps=totals.new_tensor(steps),
    )


def loss_share(
    logits: torch.Tensor,
    labels: torch.Tensor,
    activity: Activity,
    config: TrainingConfig,
    *,
    n_clips: int,
    team: Team,
) -> torch.Tensor:
    """This process's share of the loss of a global batch of `n_clips`; shares add up to it."""
    share = (
        nn.functional.cross_entropy(
            logits, labels, label_smoothing=config.label_smoothing, reduction="sum"
        )
        / n_clips
    )
    if config.rate_penalty > 0 and len(activity.spikes):
        excess = (activity.rates - config.target_rate).square().mean()
        share = share + config.rate_penalty * excess / team.size
    if config.synop_budget > 0:
        over = (activity.operations / config.synop_budget - 1).clamp(min=0)
        share = share + config.synop_weight * over / team.size
    return share
