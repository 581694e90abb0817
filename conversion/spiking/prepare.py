"""A module made ready to be read: a copy in evaluation mode, symbolically traced.

The caller's module is never changed. Networks of this package that are written with functional
activations have a plain form of modules, listed in ``PLAIN_FORMS``.

>>> copy, graph = traced(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), leaves=())
>>> [node.op for node in graph.nodes]
['placeholder', 'call_module', 'call_module', 'output']
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from conversion.encoder import Encoder
from snn.errors import ModelError


def traced(module: nn.Module, *, leaves: tuple[type, ...]) -> tuple[nn.Module, fx.Graph]:
    """A copy of a module in evaluation mode, and the graph of its calls.

    Parameters
    ----------
    module : Module
    leaves : tuple of type
        Modules that are not looked into, besides those of ``torch.nn``.

    Raises
    ------
    Exception
        Whatever tracing control flow raises; ``why_untraceable`` says it in words.
    """
    prepared = plain(copy.deepcopy(module)).eval()
    return prepared, _Tracer(leaves).trace(prepared)


def why_untraceable(error: Exception) -> str:
    """What a failed trace means and what to do."""
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return (
        f"its forward depends on the values or shapes of its input ({first_line}); write it "
        "without if, for and len of tensors, or give the part that computes the features"
    )


def with_shapes(module: nn.Module, graph: fx.Graph, sample: torch.Tensor) -> torch.Tensor:
    """The module's output for a sample; every node of the graph learns its ``meta["shape"]``.

    Raises
    ------
    ModelError
        For a sample that the module does not take.
    """
    try:
        with torch.no_grad():
            return _Shapes(fx.GraphModule(module, graph)).run(sample)
    except Exception as error:  # torch raises many kinds for shapes that do not fit
        raise ModelError(
            f"a sample input of shape {tuple(sample.shape)} does not go through the network "
            f"({str(error).splitlines()[0]}); give a batch of images as it takes them"
        ) from error


class _Tracer(fx.Tracer):
    def __init__(self, leaves: tuple[type, ...]) -> None:
        super().__init__()
        self.leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.leaves) or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        n.meta["shape"] = tuple(value.shape) if isinstance(value, torch.Tensor) else None
        return value


# -- plain forms -----------------------------------------------------------------------------------


def plain(module: nn.Module) -> nn.Module:
    """The module with every part that has a plain form in that form, in place."""
    for kind, form in PLAIN_FORMS.items():
        if isinstance(module, kind):
            return form(module)
    for name, child in module.named_children():
        setattr(module, name, plain(child))
    return module


def encoder_form(encoder: Encoder) -> nn.Sequential:
    """The same layers with their activations as modules: e1, e2, ..., bottleneck."""
    levels: OrderedDict[str, nn.Module] = OrderedDict()
    for number, block in enumerate(encoder.blocks, 1):
        level = [("conv", block.conv), ("norm", block.norm), ("act", nn.LeakyReLU(0.2))]
        levels[f"e{number}"] = nn.Sequential(OrderedDict(level))
    last = [("conv", encoder.bottleneck), ("act", nn.ReLU()), ("flatten", nn.Flatten())]
    levels["bottleneck"] = nn.Sequential(OrderedDict(last))
    return nn.Sequential(levels)


PLAIN_FORMS: dict[type, Callable[[Any], nn.Module]] = {Encoder: encoder_form}
