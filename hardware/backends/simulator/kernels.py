"""The synaptic kernel: every message adds its weights to the neurons it reaches.

A synapse of any kind is a table of *runs*. All source neurons of a pixel own the same runs, each
with the weights of its channel, and a run is a stretch of memory:

    input[at + k] += message * weight[of + k]        k = 0 .. length - 1

A convolution with channels innermost has one run per kernel row: neighbouring output pixels meet
neighbouring kernel columns. A dense synapse is one run per source neuron, a sparse one a run of
length 1 per weight. Time grows with synaptic operations, not with the size of the network.

Runs are short (8 to 200 values), and what a compiler makes of so short a loop is start-up and
clean-up; `_add` is therefore written as one vector instruction for 8 values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

WORD = 64  # messages that are looked at together
LANE_BITS = 3
LANES = 1 << LANE_BITS  # values per vector; rows of messages and inputs are padded to a multiple

jit = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


class Runs(NamedTuple):
    """Where messages go, see the module.

    Parameters
    ----------
    neurons : ndarray of int32, shape (source neurons, 3)
        Pixel of a source neuron; what its channel adds to the start in the weights; what its
        group of channels adds to the start in the target.
    first : ndarray of int32, shape (pixels + 1,)
        Pixel ``p`` owns the runs ``first[p]:first[p + 1]``.
    runs : ndarray of int32, shape (runs, 3)
        Start in the target, start in the weights, number of values.
    weight : ndarray of int32 or int64, flat
        Of the same type as the sums.
    """

    neurons: np.ndarray
    first: np.ndarray
    runs: np.ndarray
    weight: np.ndarray


def _vector_add(scaled: bool) -> Callable[..., Any]:
    """``into[at : at + 8] += weight[of : of + 8] * factor`` as one vector, or without a factor."""

    def implement(  # type: ignore[no-untyped-def]
        context, builder, signature, arguments
    ):
        into, at, weight, of, factor = arguments
        element = context.get_data_type(signature.args[0].dtype)
        vector = ir.VectorType(element, LANES)
        align = element.width // 8

        def pointer(array, array_type, index):  # type: ignore[no-untyped-def]
            data = context.make_array(array_type)(context, builder, array).data
            return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())

        target = pointer(into, signature.args[0], at)
        values = builder.load(pointer(weight, signature.args[2], of), align=align)
        if scaled:
            zero = ir.Constant(ir.IntType(32), 0)
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), factor, zero)
            every = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            values = builder.mul(values, builder.shuffle_vector(one, one, every))
        total = builder.add(builder.load(target, align=align), values)
        builder.store(total, target, align=align)
        return context.get_dummy_value()

    @intrinsic
    def add(typing_context, into, at, weight, of, factor):  # type: ignore[no-untyped-def]
        return types.void(into, types.intp, weight, types.intp, into.dtype), implement

    return add


_add = _vector_add(scaled=False)
_add_scaled = _vector_add(scaled=True)


@intrinsic
def _lowest_bit(typing_context: Any, word: Any) -> Any:
    """Index of the lowest bit that is set in a word that is not zero."""

    def implement(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), implement


@intrinsic
def _nonzero(typing_context: Any, row: Any, at: Any) -> Any:
    """Bit ``i`` says whether ``row[at + i]`` is not zero, for 64 values."""

    def implement(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array, at = arguments
        element = context.get_data_type(signature.args[0].dtype)
        vector = ir.VectorType(element, WORD)
        data = context.make_array(signature.args[0])(context, builder, array).data
        pointer = builder.bitcast(builder.gep(data, [at]), vector.as_pointer())
        values = builder.load(pointer, align=element.width // 8)
        zeros = ir.Constant(vector, [0] * WORD)
        return builder.bitcast(builder.icmp_unsigned("!=", values, zeros), ir.IntType(WORD))

    return types.uint64(row, types.intp), implement


@jit
def _find(row: np.ndarray, found: np.ndarray) -> int:
    """Write the indices of messages to ``found``, and say how many there are."""
    number = 0
    whole = row.shape[0] // WORD * WORD
    for at in range(0, whole, WORD):
        word = _nonzero(row, at)  # type: ignore[call-arg, var-annotated]
        while word:
            found[number] = at + np.int64(_lowest_bit(word))
            number += 1
            word &= word - np.uint64(1)
    for at in range(whole, row.shape[0]):
        if row[at]:
            found[number] = at
            number += 1
    return number


@jit
def scatter(
    messages: np.ndarray,
    first: int,
    inputs: np.ndarray,
    first_arrival: int,
    steps: int,
    as_spikes: bool,
    runs: Runs,
) -> None:
    """Send messages to the neurons they reach.

    Parameters
    ----------
    messages : ndarray of uint8 or int64, shape (N, T, width)
    first, first_arrival, steps : int
        Messages of step ``first + i`` become input of step ``first_arrival + i``.
    inputs : ndarray of int32 or int64, shape (N, T, width of the target)
        Added to; of the same type as the weights.
    as_spikes : bool
        Any message counts as 1.
    runs : Runs
    """
    # Names for the arrays: taking them from the tuple in the loop would count references there.
    neurons, first_run, run, weight = runs.neurons, runs.first, runs.runs, runs.weight
    found = np.empty(messages.shape[2], np.uint32)
    for sample in range(messages.shape[0]):
        for step in range(steps):
            row, into = messages[sample, first + step], inputs[sample, first_arrival + step]
            for index in range(_find(row, found)):
                neuron = found[index]
                pixel = neurons[neuron, 0]
                factor = weight.dtype.type(1 if as_spikes else row[neuron])
                for r in range(first_run[pixel], first_run[pixel + 1]):
                    at = np.int64(run[r, 0] + neurons[neuron, 2])
                    of = np.int64(run[r, 1] + neurons[neuron, 1])
                    length = run[r, 2]
                    if factor == 1:
                        for _ in range(length >> LANE_BITS):
                            _add(into, at, weight, of, factor)
                            at += LANES
                            of += LANES
                    else:
                        for _ in range(length >> LANE_BITS):
                            _add_scaled(into, at, weight, of, factor)
                            at += LANES
                            of += LANES
                    for _ in range(length & (LANES - 1)):
                        into[at] += weight[of] * factor
                        at += 1
                        of += 1


@jit
def count_messages(messages: np.ndarray) -> np.ndarray:
    """How many messages each neuron sent, whatever their value: int32, (N, width)."""
    samples, steps, width = messages.shape
    counts = np.zeros((samples, width), np.int32)
    for sample in range(samples):
        count = counts[sample]
        for step in range(steps):
            row = messages[sample, step]
            for neuron in range(width):
                count[neuron] += row[neuron] != 0
    return counts
