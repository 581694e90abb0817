"""Shapes in NIR graphs, and the geometry of convolutions and pooling.

Exporters write shapes with or without a batch axis, and parameters per neuron or one for all. A
shape follows the data from the input on; what a node declares is used where it says more. A signal
of ``(C, L)``, which Conv1d makes, is an image of height 1.

>>> shapes = find_shapes(graph, problems)
"""

from __future__ import annotations

import math
from dataclasses import replace

import nir
import numpy as np

from hardware.chip.registers import NEURONS_MAX, PADDING_MAX
from hardware.compiler.nir.file import UnknownNode
from hardware.compiler.nir.graph import FlatGraph, Problems
from hardware.compiler.nir.linear import Window, pool_window, same_padding
from hardware.errors import NetworkFormatError

Shape = tuple[int, ...]


def find_shapes(graph: FlatGraph, problems: Problems) -> dict[str, Shape]:
    """Shape of what each node puts out, without a batch axis."""
    source = graph.nodes[graph.source]
    shapes = {graph.source: _input_shape(graph.source, source, problems)}
    failed: set[str] = set()
    changed = True
    while changed:
        changed = False
        for name, before in graph.feeds.items():
            if name in shapes or name in failed or isinstance(graph.nodes[name], UnknownNode):
                continue
            known = next((shapes[b] for b in before if b in shapes), None)
            if known is None:
                continue
            changed = True
            try:
                shapes[name] = _checked(output_shape(graph.nodes[name], known))
            except NetworkFormatError as error:
                failed.add(name)
                problems.malformed.append(f"{name}: {error}")
    return shapes


def _input_shape(name: str, node: nir.NIRNode, problems: Problems) -> Shape:
    declared = node.input_type["input"]
    shape = tuple(int(n) for n in np.atleast_1d([] if declared is None else declared))
    while len(shape) > 3 and shape[0] == 1:  # a batch axis of the example that was traced
        shape = shape[1:]
    try:
        if not 1 <= len(shape) <= 3:
            raise NetworkFormatError(f"an input of shape {shape}; it must have 1 to 3 axes")
        return _checked(shape)
    except NetworkFormatError as error:
        problems.malformed.append(f"{name}: {error}")
        problems.raise_if_any()
        raise


def _checked(shape: Shape) -> Shape:
    if not shape or min(shape) < 1 or math.prod(shape) > NEURONS_MAX:
        raise NetworkFormatError(f"shape {shape}; from 1 to {NEURONS_MAX} elements are allowed")
    return shape


def output_shape(node: nir.NIRNode, shape: Shape) -> Shape:
    """Shape that a node makes of its input's; raises NetworkFormatError where it does not fit."""
    if isinstance(node, nir.Affine | nir.Linear):
        weight = np.shape(node.weight)
        if len(weight) != 2 or weight[1] != math.prod(shape):
            raise NetworkFormatError(f"weights of shape {weight} do not fit an input of {shape}")
        return (weight[0],)
    if isinstance(node, nir.Conv1d | nir.Conv2d | nir.SumPool2d | nir.AvgPool2d):
        image = as_image(node, shape)
        out = geometry(node, image).output_shape(image)
        if min(out) < 1:
            raise NetworkFormatError(f"its kernel does not fit an input of {shape}")
        return (out[0], out[2]) if isinstance(node, nir.Conv1d) else out
    if isinstance(node, nir.Flatten):
        return _flattened(node, shape)
    for name in ("v_threshold", "threshold", "tau", "tau_mem", "r", "scale", "delay"):
        own = np.shape(getattr(node, name, ()))
        if math.prod(own) > 1:
            if math.prod(own) != math.prod(shape) or len({own, shape, (math.prod(own),)}) > 2:
                raise NetworkFormatError(f"{name} has shape {own}, its input {shape}")
            return own if len(own) <= len(shape) else shape
    return shape


def physical(shape: Shape) -> Shape:
    """Shape of a population: a signal of ``(C, L)`` is an image of height 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def as_image(node: nir.NIRNode, shape: Shape) -> Shape:
    """The ``(C, H, W)`` that a convolution or pooling node works on."""
    n_axes = 2 if isinstance(node, nir.Conv1d) else 3
    if len(shape) != n_axes:
        axes = "(C, L)" if n_axes == 2 else "(C, H, W)"
        raise NetworkFormatError(f"a {type(node).__name__} needs an input {axes}, it gets {shape}")
    return physical(shape)


def _flattened(node: nir.Flatten, shape: Shape) -> Shape:
    start, end = int(node.start_dim), int(node.end_dim)
    start, end = (i + len(shape) if i < 0 else i for i in (start, end))
    end = min(end, len(shape) - 1)  # counted with a batch axis by some
    start = min(start, end)
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


# -- windows ---------------------------------------------------------------------------------------


def geometry(node: nir.NIRNode, image: Shape) -> Window:
    """Weights and geometry of a convolution or pooling node, its sums unscaled."""
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        size = _pair(node.kernel_size)
        if not all(1 <= k <= PADDING_MAX for k in size):
            raise NetworkFormatError(f"kernel_size must lie in [1, {PADDING_MAX}], got {size}")
        window = pool_window(image[0], size, stride=_pair(node.stride), padding=_pair(node.padding))
    else:
        window = _convolution(node)
    limits = {"stride": (1, PADDING_MAX), "dilation": (1, PADDING_MAX), "padding": (0, PADDING_MAX)}
    for name, (low, high) in limits.items():
        if not all(low <= value <= high for value in getattr(window, name)):
            raise NetworkFormatError(
                f"{name} must lie in [{low}, {high}], got {getattr(window, name)}"
            )
    outputs, per_group = window.weight.shape[:2]
    if window.groups < 1 or outputs % window.groups or per_group * window.groups != image[0]:
        raise NetworkFormatError(
            f"weights of shape {np.shape(getattr(node, 'weight', window.weight))} in "
            f"{window.groups} groups do not fit {image[0]} input channels"
        )
    return window


def _convolution(node: nir.Conv1d | nir.Conv2d) -> Window:
    weight = np.asarray(node.weight, np.float64)
    flat = isinstance(node, nir.Conv1d)
    if weight.ndim != (3 if flat else 4) or 0 in weight.shape:
        raise NetworkFormatError(f"weights of shape {weight.shape} are no convolution")
    if flat:
        weight = weight[:, :, None, :]
    stride, dilation = (_pair(getattr(node, n), flat=flat) for n in ("stride", "dilation"))
    window = Window(weight=weight, stride=stride, dilation=dilation, groups=int(node.groups))
    padding = node.padding.decode() if isinstance(node.padding, bytes) else node.padding
    if not isinstance(padding, str):
        sides = _pair(padding, flat=flat, neutral=0)
        return replace(window, padding=sides)
    if padding == "same":
        if max(stride) > 1:
            raise NetworkFormatError("padding 'same' has no meaning with a stride above 1")
        return same_padding(window)
    if padding == "valid":
        return window
    raise NetworkFormatError(f"padding must be 'same', 'valid' or pixels, got {padding!r}")


def _pair(value: object, *, flat: bool = False, neutral: int = 1) -> tuple[int, int]:
    """``(rows, columns)`` of a number or a pair; of a one-dimensional node ``(neutral, value)``."""
    numbers = np.asarray(value, np.int64).ravel()
    if numbers.size not in ((1,) if flat else (1, 2)):
        raise NetworkFormatError(f"{numbers.size} numbers where one or two are expected")
    rows, columns = (neutral, numbers[0]) if flat else np.broadcast_to(numbers, (2,))
    return int(rows), int(columns)
