"""Would it fit a chip: a model as it is configured, before it is trained.

>>> fit_model(network.layers, (2, 128, 128)).cores
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hardware.analysis.fit import Fit, NetworkShape, fit_shapes
from hardware.analysis.fit.boards import CORES_A_CHIP
from hardware.analysis.fit.shapes import Layer as PlacedLayer
from hardware.analysis.fit.shapes import Projection, Window
from hardware.analysis.rules import fan_in_of
from snn.models.layers import INPUT, Add, Layer, MaxPool, Shape, Spiking
from spikeface.text.fit import unfit_line


def warn_if_unfit(layers: Sequence[Layer], input_shape: Shape) -> None:
    """A line on stderr about a model that breaks a rule or is too large for one chip.

    Parameters
    ----------
    layers : sequence of Layer
        Of a spiking network; weights are not needed.
    input_shape : tuple of int
    """
    fit = fit_model(layers, input_shape)
    if fit.violations or fit.cores > CORES_A_CHIP["Loihi 2"]:
        print(unfit_line(fit.as_dict()), file=sys.stderr)


def fit_model(layers: Sequence[Layer], input_shape: Shape) -> Fit:
    """The fit of a model as it is configured, from the shapes of its layers."""
    shape = model_shapes(layers, input_shape)
    return fit_shapes(shape, rules=tuple(r for layer in shape.layers for r in fan_in_of(layer)))


def model_shapes(layers: Sequence[Layer], input_shape: Shape) -> NetworkShape:
    """The layers as ``snn.export`` and the compiler make populations of them.

    An ``Add`` is no population: who reads it reads all that it adds up.
    """
    sums: dict[str, tuple[str, ...]] = {}
    placed = []
    for layer in layers:
        sources = tuple(term for name in layer.sources for term in sums.get(name, (name,)))
        if isinstance(layer, Add):
            sums[layer.name] = sources
        else:
            projection = _projection(layer, sources)
            placed.append(
                PlacedLayer(
                    name=layer.name,
                    model="cuba",
                    shape=layer.shape,
                    states=2,
                    projections=(projection,),
                )
            )
    return NetworkShape(input_shape=input_shape, layers=tuple(placed))


def _projection(layer: Layer, sources: tuple[str, ...]) -> Projection:
    # Several trains that add up are values to the synapse that reads them.
    bits = len(sources).bit_length() if len(sources) > 1 and INPUT not in sources else 0
    if not (isinstance(layer, MaxPool) or (isinstance(layer, Spiking) and layer.is_conv)):
        return Projection(
            kind="dense", sources=sources, source_shape=layer.source_shape, message_bits=bits
        )
    window = Window(
        kernel=(layer.kernel,) * 2,
        stride=(layer.stride,) * 2,
        padding=(layer.padding,) * 2,
        groups=layer.source_shape[0] if isinstance(layer, MaxPool) else 1,
    )
    return Projection(
        kind="conv",
        sources=sources,
        source_shape=layer.source_shape,
        window=window,
        message_bits=bits,
    )
