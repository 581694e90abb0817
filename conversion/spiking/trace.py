"""From any torch module to an artificial network as plain data.

The module is traced symbolically; ``conversion.spiking.mappers`` has the mapper of every module
type. Everything that has no spiking form is refused in one error that names each place. What comes
out is compared with the module on noise: a network that computes something else is never returned.

>>> network, changes = trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.zeros(1, 4))
>>> [node.name for node in network.nodes]
['0', '1']
"""

from __future__ import annotations

import torch
from torch import fx, nn

from conversion.spiking.builder import Builder, Change, Refused, function_name, place
from conversion.spiking.graph import INPUT, Network
from conversion.spiking.mappers import FUNCTIONS, HOST, MAPPERS, advice, functional_advice
from conversion.spiking.prepare import traced, why_untraceable, with_shapes
from snn.errors import ModelError

TOLERANCE = 1e-6  # of the largest output, in double precision


def trace(module: nn.Module, sample_input: torch.Tensor) -> tuple[Network, tuple[Change, ...]]:
    """An artificial network in double precision, and what was changed on the way.

    Parameters
    ----------
    module : Module
        Read in evaluation mode; it stays as it is.
    sample_input : Tensor of shape (N, C, H, W) or (N, F)
        Only its shape counts.

    Raises
    ------
    ModelError
        Naming every layer and call that has no spiking form; for a sample that does not fit; or
        for a network that changes values in place that are used elsewhere.
    """
    problems: list[str] = []
    try:
        copy, graph = traced(module, leaves=tuple(MAPPERS))
    except Exception as error:  # a proxy in an if, a range or a library call raises anything
        problems = [*_unmapped(module), why_untraceable(error)]
        raise _refusal(module, problems) from error
    if not isinstance(sample_input, torch.Tensor) or sample_input.dim() not in (2, 4):
        raise ModelError("sample_input must be a batch of images [N, C, H, W] or vectors [N, F]")
    builder = Builder(dict(copy.to("cpu", torch.float64).named_modules()))
    problems = _refused(builder, graph)
    if problems:
        raise _refusal(module, problems)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, *sample_input.shape[1:], generator=generator, dtype=torch.float64)
    with_shapes(copy, graph, noise)
    network = _build(builder, graph, tuple(sample_input.shape[1:]))
    if builder.problems:
        raise _refusal(module, builder.problems)
    _compare(network, copy, builder, noise)
    return network, tuple(builder.changes)


def _refusal(module: nn.Module, problems: list[str]) -> ModelError:
    lines = "\n  ".join(dict.fromkeys(problems))
    return ModelError(f"{type(module).__name__} has no spiking form:\n  {lines}")


def _unmapped(module: nn.Module) -> list[str]:
    """What is wrong with the parts of a module that could not be traced."""
    return [
        f"{name} ({type(part).__name__}): {advice(part)}"
        for name, part in module.named_modules()
        if not list(part.children())
        and type(part) not in MAPPERS
        and type(part).__module__.startswith("torch.nn")
        and not isinstance(part, HOST)
    ]


def _compare(network: Network, module: nn.Module, builder: Builder, noise: torch.Tensor) -> None:
    with torch.no_grad():
        found = network(noise)[network.output]
        expected = module(noise)
        for function in builder.host:
            found = function(found)
    error = (found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    if not error <= TOLERANCE:
        raise ModelError(
            f"the network read from {type(module).__name__} differs from it by {error:.1e} of its "
            "largest output; it probably changes a value in place that is used elsewhere: write "
            "y = f(x) instead of changing x"
        )


def _refused(builder: Builder, graph: fx.Graph) -> list[str]:
    """Everything in the graph that no mapper exists for."""
    problems, seen = [], set()
    last = _last_computed(graph, builder.modules)
    for node in graph.nodes:
        if node.op == "call_module":
            module = builder.modules[str(node.target)]
            if type(module) not in MAPPERS and node not in last:
                problems.append(f"{node.target} ({type(module).__name__}): {advice(module)}")
            elif node.target in seen and next(module.parameters(), None) is not None:
                problems.append(
                    f"{node.target} ({type(module).__name__}): is used more than once; give "
                    "every place a layer of its own"
                )
            seen.add(node.target)
        elif node.op == "get_attr":
            problems.append(f"{node.target}: a tensor used outside of a layer; use a module")
        elif node.op in ("call_function", "call_method") and function_name(node) not in FUNCTIONS:
            problems.append(f"{place(node)}: {functional_advice(function_name(node))}")
        if node.op.startswith("call") and not node.args:
            problems.append(f"{place(node)}: is called by keyword; give its input by position")
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        problems.append(f"takes {len(inputs)} inputs; one is allowed")
    return problems


def _build(builder: Builder, graph: fx.Graph, input_shape: tuple[int, ...]) -> Network:
    """The network; what turns out not to fit is added to ``problems``."""
    last = _last_computed(graph, builder.modules)
    output = INPUT
    for node in graph.nodes:
        try:
            if node.op == "placeholder":
                builder.names[node] = INPUT
            elif node in last:
                _leave_to_host(builder, node)
            elif node.op == "call_module":
                module = builder.modules[str(node.target)]
                builder.names[node] = MAPPERS[type(module)](builder, node, module)
            elif node.op in ("call_function", "call_method"):
                FUNCTIONS[function_name(node)](builder, node)
            elif node.op == "output":
                output = _output(builder, node)
        except Refused as error:
            builder.problems.append(f"{place(node)}: {error}")
        except KeyError:  # what it reads was refused
            continue
    return Network(input_shape=input_shape, nodes=tuple(builder.nodes.values()), output=output)


def _leave_to_host(builder: Builder, node: fx.Node) -> None:
    module = builder.modules[str(node.target)]
    builder.names[node] = builder.source(node)
    builder.host.append(module)
    builder.changed(str(node.target), type(module).__name__, "left to the host: the read-out")


def _output(builder: Builder, node: fx.Node) -> str:
    result = node.args[0]
    if not isinstance(result, fx.Node):
        raise Refused("gives several values; return one tensor of features or logits")
    if builder.names[result] == INPUT:
        raise Refused("gives its input back; there is nothing to convert")
    return builder.names[result]


def _last_computed(graph: fx.Graph, modules: dict[str, nn.Module]) -> set[fx.Node]:
    """Calls after which nothing but the output comes and that the host can do."""
    found: set[fx.Node] = set()
    node = next(node for node in graph.nodes if node.op == "output").args[0]
    while (
        isinstance(node, fx.Node)
        and node.op == "call_module"
        and isinstance(modules[str(node.target)], HOST)
        and len(node.users) == 1
    ):
        found.add(node)
        node = node.args[0]
    return found
