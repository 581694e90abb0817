"""What would make a network smaller: changes of its shapes, each counted anew by the estimator.

Nothing is promised from experience: a change is made to the shapes, everything that follows from
it is computed (`changed`), and what does not save a core is not told. What a change costs is said
with what can be counted: positions, neurons, weights, and that it must be trained again.

>>> [s.change for s in suggest(shapes_of(network))]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from hardware.analysis.fit.boards import chips_for
from hardware.analysis.fit.loihi2 import layer_fit
from hardware.analysis.fit.shapes import (
    Change,
    Layer,
    NetworkShape,
    Projection,
    ShapeError,
    changed,
)
from hardware.chip.network import INPUT
from hardware.chip.populations import Cuba, Levels, SigmaDelta

ATTEMPTS = 3  # how often both width and resolution are halved


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A change, and what the estimator says of the network after it."""

    change: str
    cores: int
    cores_saved: int
    chips: int
    neurons: int
    weights: int
    cost: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)


class Candidate(NamedTuple):
    """A change that may be worth telling; one that mends a broken rule is, at any size."""

    change: str
    cost: str
    shape: NetworkShape
    mends: bool = False


def suggest(shape: NetworkShape) -> tuple[Suggestion, ...]:
    """Changes that save cores, in the order in which they change more and more."""
    before = cores_of(shape)
    found: dict[str, Suggestion] = {}
    for change, cost, after, mends in _candidates(shape):
        cores = cores_of(after)
        if cores < before or mends:
            found[change] = Suggestion(
                change=change,
                cores=cores,
                cores_saved=before - cores,
                chips=chips_for(cores),
                neurons=after.neurons,
                weights=sum(layer.weights for layer in after.layers),
                cost=cost,
            )
    return tuple(found.values())


def cores_of(shape: NetworkShape) -> int:
    """The estimate of a whole network."""
    return max(1, sum(layer_fit(layer).cores for layer in shape.layers))


def _candidates(shape: NetworkShape) -> Iterator[Candidate]:
    yield from _host_encodes(shape)
    yield from _other_code(shape)
    yield from _without_delays(shape)
    yield from _larger_stride(shape)
    yield from _smaller(shape)


def _host_encodes(shape: NetworkShape) -> Iterator[Candidate]:
    inputs = [layer for layer in shape.layers if layer.is_encoder and not layer.on_host]
    if inputs:
        names = ", ".join(layer.name for layer in inputs)
        neurons = sum(layer.neurons for layer in inputs)
        yield Candidate(
            f"spikes made on the host instead of in {names}",
            f"the host computes {neurons:,} neurons and sends their spikes in every step",
            changed(shape, change=lambda x: replace(x, on_host=x.on_host or x in inputs)),
        )


def _other_code(shape: NetworkShape) -> Iterator[Candidate]:
    if any(layer.sends_values for layer in shape.layers if not layer.on_host):
        yield Candidate(
            "rate code: binary spikes in place of values",
            "many steps in place of one, and an error that falls with their number; convert again",
            changed(shape, change=_as_rate_code),
        )
    if any(layer.model == Levels.KIND for layer in shape.layers):
        yield Candidate(
            "sigma-delta code in place of levels: stock neurons",
            "three values of state a neuron in place of one; convert again",
            changed(shape, change=_as_sigma_delta),
            mends=True,
        )


def _as_rate_code(layer: Layer) -> Layer:
    silent = _each_projection(layer, message_bits=0)
    if not layer.sends_values or layer.on_host:
        return silent
    return replace(silent, model=Cuba.KIND, states=len(Cuba.STATES))


def _as_sigma_delta(layer: Layer) -> Layer:
    if layer.model != Levels.KIND:
        return layer
    states = len(SigmaDelta.STATES)
    return replace(layer, model=SigmaDelta.KIND, states=states)


def _without_delays(shape: NetworkShape) -> Iterator[Candidate]:
    if any(p.delay and x.name not in p.sources for x in shape.layers for p in x.projections):
        yield Candidate(
            "no delays",
            "timing that was learned is lost; train again",
            changed(shape, change=lambda x: _each_projection(x, delay=0)),
        )


def _each_projection(layer: Layer, **values: Any) -> Layer:
    return replace(layer, projections=tuple(replace(p, **values) for p in layer.projections))


def _larger_stride(shape: NetworkShape) -> Iterator[Candidate]:
    """Twice the stride in the layer where this saves most; a kernel must still cover its steps."""
    best: tuple[int, str, NetworkShape] | None = None
    for layer in shape.layers:
        if not _can_stride(layer):
            continue
        smaller = _try(shape, change=_strided(layer.name))
        if smaller and (not best or cores_of(smaller) < best[0]):
            best = cores_of(smaller), layer.name, smaller
    if best:
        _, name, smaller = best
        yield Candidate(
            f"twice the stride in {name}",
            f"{_ratio(shape, smaller)}; positions after {name} are coarser; train again",
            smaller,
        )


def _can_stride(layer: Layer) -> bool:
    windows = [p.window for p in layer.projections if p.window]
    return bool(windows) and all(
        2 * s <= k for w in windows for s, k in zip(w.stride, w.kernel, strict=True)
    )


def _strided(name: str) -> Change:
    def change(layer: Layer) -> Layer:
        if layer.name != name:
            return layer
        return replace(layer, projections=tuple(_twice_the_stride(p) for p in layer.projections))

    return change


def _twice_the_stride(projection: Projection) -> Projection:
    if projection.window is None:
        return projection
    rows, columns = projection.window.stride
    return replace(projection, window=replace(projection.window, stride=(2 * rows, 2 * columns)))


def _smaller(shape: NetworkShape) -> Iterator[Candidate]:
    """Half the width, half the resolution, and both of them until one chip holds it."""
    width = _try(shape, change=_half_width(shape))
    if width:
        yield Candidate("half the channels", _cost(shape, width), width)
    resolution = _half_resolution(shape)
    if resolution:
        yield Candidate("half the resolution", _cost(shape, resolution), resolution)
    current: NetworkShape | None = shape
    for times in range(1, ATTEMPTS + 1):
        current = current and _half_resolution(current)
        current = current and _try(current, change=_half_width(current))
        if current is None:
            return
        if chips_for(cores_of(shape)) > 1:
            share = f"1/{2**times}" if times > 1 else "half"
            yield Candidate(f"{share} of both", _cost(shape, current), current)
        if chips_for(cores_of(current)) == 1:
            return


def _half_resolution(shape: NetworkShape) -> NetworkShape | None:
    if len(shape.input_shape) != 3:
        return None
    channels, height, width = shape.input_shape
    return _try(shape, input_shape=(channels, height // 2, width // 2))


def _half_width(shape: NetworkShape) -> Change:
    """Half the channels of every layer but the last, and groups that follow."""
    channels = {layer.name: layer.shape[0] for layer in shape.layers}
    channels[INPUT] = shape.input_shape[0]
    halved: dict[str, int] = {INPUT: channels[INPUT]}

    def change(layer: Layer) -> Layer:
        forward = [p for p in layer.projections if p.sources[0] in halved]
        source = forward[0].sources[0]
        follows = any(_is_depthwise(p) or p.kind == "direct" for p in forward)
        kept = layer is shape.layers[-1] and not follows
        n = layer.shape[0]
        if follows:
            n = n * halved[source] // channels[source]
        elif not kept:
            n = max(1, n // 2)
        halved[layer.name] = n
        return replace(
            layer,
            shape=(n, *layer.shape[1:]),
            projections=tuple(_regrouped(p, halved) for p in layer.projections),
        )

    return change


def _is_depthwise(projection: Projection) -> bool:
    window = projection.window
    return window is not None and window.groups == projection.source_shape[0] > 1


def _regrouped(projection: Projection, halved: dict[str, int]) -> Projection:
    if not _is_depthwise(projection) or projection.window is None:
        return projection
    window = replace(projection.window, groups=halved[projection.sources[0]])
    return replace(projection, window=window)


def _try(shape: NetworkShape, **what: Any) -> NetworkShape | None:
    try:
        return changed(shape, **what)
    except ShapeError:
        return None


def _cost(before: NetworkShape, after: NetworkShape) -> str:
    return f"{_ratio(before, after)}; train again"


def _ratio(before: NetworkShape, after: NetworkShape) -> str:
    weights = [sum(layer.weights for layer in s.layers) for s in (before, after)]
    text = f"{after.neurons / before.neurons:.0%} of the neurons"
    return f"{text}, {weights[1] / weights[0]:.0%} of the weights" if weights[0] else text
