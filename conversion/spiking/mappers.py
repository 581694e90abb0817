"""The table of what can be converted: from the type of a module or call to what makes its node.

A mapper gets the builder, the traced call and the module, and gives the name of the node that
stands for the call; what a layer's settings rule out it refuses. Batch norms are folded into the
convolution or matrix before them:

    w' = w g / sqrt(var + eps)        b' = (b - mean) g / sqrt(var + eps) + beta

>>> nn.MaxPool2d in MAPPERS
False
>>> advice(nn.MaxPool2d(2))[:38]
'the largest of several activations is '
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from conversion.activations import QCFS
from conversion.spiking.builder import Builder, Refused
from conversion.spiking.graph import Activation, Convolution, Dense, Flatten, Pair, Sum, SumPool


def _convolution(builder: Builder, node: fx.Node, conv: nn.Conv2d) -> str:
    if conv.padding_mode != "zeros":
        raise Refused(f"padding_mode {conv.padding_mode!r}; only 'zeros' is allowed")
    bias = torch.zeros(conv.out_channels).double() if conv.bias is None else conv.bias.detach()
    return builder.add(
        Convolution,
        node,
        (builder.source(node),),
        weight=conv.weight.detach(),
        bias=bias,
        stride=_pair(conv.stride),
        padding=_padding(conv),
        dilation=_pair(conv.dilation),
        groups=conv.groups,
    )


def _padding(conv: nn.Conv2d) -> Pair:
    if conv.padding == "valid":
        return 0, 0
    if conv.padding != "same":
        return _pair(conv.padding)
    wanted = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
    if any(w % 2 for w in wanted):
        raise Refused(
            f"padding 'same' of an even kernel {conv.kernel_size} is not the same on both sides; "
            "use an odd kernel, or pad by number"
        )
    return wanted[0] // 2, wanted[1] // 2


def _dense(builder: Builder, node: fx.Node, linear: nn.Linear) -> str:
    if len(node.meta["shape"]) != 2:
        raise Refused("a matrix on the last axis of an image; flatten it first")
    bias = torch.zeros(linear.out_features).double() if linear.bias is None else linear.bias
    return builder.add(
        Dense, node, (builder.source(node),), weight=linear.weight.detach(), bias=bias.detach()
    )


def _norm(builder: Builder, node: fx.Node, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> str:
    before, name = node.args[0], builder.source(node)
    layer = builder.nodes.get(name)
    if not isinstance(layer, Convolution | Dense) or len(before.users) > 1:  # type: ignore[union-attr]
        raise Refused(
            "a batch norm that does not directly follow a convolution or matrix of its own cannot "
            "be folded; put it behind one"
        )
    if norm.running_mean is None or norm.running_var is None:
        raise Refused("a batch norm without running statistics; train it with them")
    gain = (norm.running_var + norm.eps).rsqrt()
    shift = torch.zeros_like(gain)
    if norm.weight is not None:
        gain, shift = gain * norm.weight.detach(), norm.bias.detach()
    builder.nodes[name] = replace(
        layer,
        weight=layer.weight * gain.reshape(-1, *(1,) * (layer.weight.dim() - 1)),
        bias=(layer.bias - norm.running_mean) * gain + shift,
    )
    builder.changed(str(node.target), type(norm).__name__, f"folded into {name}")
    return name


def _activation(builder: Builder, node: fx.Node, module: nn.ReLU | nn.LeakyReLU | QCFS) -> str:
    fields: dict[str, Any] = {"found": type(module).__name__}
    if isinstance(module, nn.LeakyReLU):
        if not 0 <= module.negative_slope <= 1:
            raise Refused(f"a negative slope of {module.negative_slope}; it must lie in [0, 1]")
        fields["negative_slope"] = module.negative_slope
    if isinstance(module, QCFS):
        fields |= {
            "negative_slope": module.negative_slope,
            "lam": module.clip.detach(),
            "levels": module.levels,
        }
    return builder.add(Activation, node, (builder.source(node),), **fields)


def _average(builder: Builder, node: fx.Node, pool: nn.AvgPool2d) -> str:
    kernel, padding = _pair(pool.kernel_size), _pair(pool.padding)
    if pool.ceil_mode or (any(padding) and not pool.count_include_pad):
        raise Refused("windows that reach over the edge; use ceil_mode=False, no padding")
    divisor = pool.divisor_override or kernel[0] * kernel[1]
    return _pooled(builder, node, kernel, _pair(pool.stride), padding, divisor)


def _global_average(builder: Builder, node: fx.Node, pool: nn.AdaptiveAvgPool2d) -> str:
    kernel = node.args[0].meta["shape"][2:]  # type: ignore[union-attr]
    if node.meta["shape"][2:] != (1, 1):
        raise Refused(f"pools to {node.meta['shape'][2:]}; use nn.AvgPool2d with a fixed window")
    return _pooled(builder, node, kernel, kernel, (0, 0), kernel[0] * kernel[1])


def _pooled(
    builder: Builder, node: fx.Node, kernel: Pair, stride: Pair, padding: Pair, divisor: float
) -> str:
    found = type(builder.modules[str(node.target)]).__name__
    builder.changed(str(node.target), found, f"sum pooling, 1/{divisor} in the weights behind it")
    return builder.add(
        SumPool,
        node,
        (builder.source(node),),
        kernel=kernel,
        stride=stride,
        padding=padding,
        divisor=float(divisor),
    )


def _flatten(builder: Builder, node: fx.Node, _module: nn.Module | None = None) -> str:
    before = node.args[0].meta["shape"]  # type: ignore[union-attr]
    after = node.meta["shape"]
    if before == after:
        return builder.source(node)
    if after != (before[0], torch.Size(before[1:]).numel()):
        raise Refused(f"makes {after[1:]} of {before[1:]}; only flattening all of it is allowed")
    return builder.add(Flatten, node, (builder.source(node),))


def _nothing(builder: Builder, node: fx.Node, module: nn.Module) -> str:
    if not isinstance(module, nn.Identity):
        builder.changed(str(node.target), type(module).__name__, "nothing, as in evaluation")
    return builder.source(node)


def _reshaped(builder: Builder, node: fx.Node) -> None:
    builder.names[node] = _flatten(builder, node)


def _add(builder: Builder, node: fx.Node) -> None:
    terms = node.args[:2]
    if len(terms) < 2 or node.kwargs or not all(isinstance(t, fx.Node) for t in terms):
        raise Refused("adds something else than two activations; put constants into a bias")
    if terms[0].meta["shape"] != terms[1].meta["shape"]:  # type: ignore[union-attr]
        raise Refused("adds values of different shapes")
    sources = tuple(builder.names[term] for term in terms)  # type: ignore[index]
    builder.names[node] = name = builder.add(Sum, node, sources)
    builder.changed(name, "addition", "currents in one unit: both branches carry the same quantum")


def _sizes(builder: Builder, node: fx.Node) -> None:
    """Shapes that a reshape asks for are known from the sample."""
    if node.meta["shape"] is not None:
        raise Refused("takes a part of a tensor; the whole of it must go on")


def _pair(value: Any) -> Pair:
    rows, columns = value if isinstance(value, tuple) else (value, value)
    return rows, columns


Mapper = Callable[[Builder, fx.Node, Any], str]
MAPPERS: dict[type, Mapper] = {
    nn.Conv2d: _convolution,
    nn.Linear: _dense,
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    nn.ReLU: _activation,
    nn.LeakyReLU: _activation,
    QCFS: _activation,
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: _global_average,
    nn.Flatten: _flatten,
    nn.Identity: _nothing,
    nn.Dropout: _nothing,
    nn.Dropout2d: _nothing,
}
FUNCTIONS: dict[str, Callable[[Builder, fx.Node], None]] = {
    **dict.fromkeys(("add", "iadd", "add_"), _add),
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze"), _reshaped),
    **dict.fromkeys(("size", "getattr", "getitem"), _sizes),
}
HOST = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.Tanh)
ADVICE: dict[tuple[type, ...], str] = {
    (nn.MaxPool2d, nn.AdaptiveMaxPool2d): "the largest of several activations is no sum of spikes; "
    "use nn.AvgPool2d, or a stride in the convolution before it, and fine-tune",
    (nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d): "normalises by each input's own statistics, "
    "which spikes do not have yet; use BatchNorm2d",
    HOST: "is allowed only as the last layer, where the host computes it; use ReLU inside",
    (nn.ConvTranspose2d,): "a transposed convolution has no layer on the chip; give the encoder",
    (nn.LSTM, nn.GRU, nn.RNN): "has no spiking form; keep it on the host behind the features",
}


def advice(module: nn.Module) -> str:
    for kinds, what_to_do in ADVICE.items():
        if isinstance(module, kinds):
            return what_to_do
    return f"not known; known are {', '.join(sorted(kind.__name__ for kind in MAPPERS))}"


def functional_advice(name: str) -> str:
    if any(word in name for word in ("relu", "elu", "tanh", "sigmoid", "softmax")):
        return "a functional activation has no name and no threshold; make it a module (nn.ReLU)"
    if "pool" in name or "mean" in name:
        return "pooling by a function; make it a module (nn.AvgPool2d, nn.AdaptiveAvgPool2d(1))"
    return "not known; use modules, additions and flattening"
