"""Layers as the estimate of cores sees them: their shapes and those of what they read."""

from hardware.analysis.fit.shapes import Layer, Projection, Window
from hardware.chip.network import INPUT

VALUES = {"message_bits": 16}


def conv(shape, source, *, kernel=3, stride=1, groups=1, **fields):
    """An image layer whose kernel makes the shape from its source."""
    window = Window(kernel=(kernel,) * 2, stride=(stride,) * 2, groups=groups)
    projection = Projection(
        kind="conv", sources=("before",), source_shape=source, window=window, **fields
    )
    return Layer(name="conv", model="cuba", shape=shape, projections=(projection,))


def dense(n, rows, **fields):
    projection = Projection(kind="dense", sources=("before",), source_shape=(rows,), **fields)
    return Layer(name="dense", model="cuba", shape=(n,), projections=(projection,))


def written(shape):
    projection = Projection(kind="direct", sources=(INPUT,), source_shape=shape)
    return Layer(name="input", model="cuba", shape=shape, projections=(projection,))
