"""lava-dl ``.net`` files in: the networks that lava-dl's netx loads, as ChipNetworks.

What the file says is read as netx reads it, so that a run is equal to netx on Lava bit for bit.
What netx ignores without a word (delays of convolutions, graded CUBA spikes, weight exponents) or
cannot load is one error that lists every such layer.

    input   a population that is written directly: CUBA through its bias, SDNN as a delta encoder
    conv, dense, dense_rec   a synapse and a population, ``"<index>-<type>"``
    flatten   nothing: a dense synapse reads (C, H, W) in C order

Source: ``lava/lib/dl/netx/hdf5.py``, class ``Network``, of lava-dl 0.6.0.

>>> network = read_netx("network.net")
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.network import INPUT, ChipNetwork, Readout
from hardware.chip.populations import (
    Cuba,
    Delta,
    Population,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from hardware.chip.synapses import Conv, Dense, Direct, Synapse
from hardware.compiler.netx.layout import (
    BIAS_EXP,
    CUBA_TYPES,
    GRADED_MESSAGE_BITS,
    STATE_EXP,
    Fields,
    FittedWeight,
    NetxFile,
    cut_decays,
    fit,
    neuron_of,
    refuse_unsupported,
)
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

OPEN_THRESHOLD = (
    f"its neurons, which the file does not say, integrate without spiking: their threshold is "
    f"{reg.THRESHOLD_MANTISSA_MAX}, netx's 2**17 does not fit the register"
)


def read_netx(
    path: str | Path,
    *,
    input_shape: tuple[int, ...] | None = None,
    input_bits: int = 0,
    n_layers: int | None = None,
    spike_exp: int = 6,
    strict: bool = True,
) -> ChipNetwork:
    """Read a lava-dl ``.net`` file.

    Parameters
    ----------
    path : str or Path
    input_shape : tuple of int, optional
        ``(C, H, W)`` or ``(F,)``, needed where the file starts with a convolution.
    input_bits : int
        As in `ChipNetwork`. Of a network whose input layer has neurons, 0 means what their
        register holds.
    n_layers : int, optional
        Read the first layers of the file only (netx's ``num_layers``).
    spike_exp : int
        Fractional bits of sigma-delta messages, which the file does not say.
    strict : bool
        Refuse weights and biases that netx would change; otherwise change them as netx does (and
        drop the ninth bit, which Lava's CPU models keep and no chip has).

    Returns
    -------
    ChipNetwork
        ``metadata`` says under ``"simulation"`` and ``"input_transform"`` what the file says, and
        under ``"assumptions"`` what it leaves open. It is read out by its membrane when the last
        layer has no neuron of its own, by its messages otherwise.

    Raises
    ------
    NetworkFormatError
        For a missing, damaged or inconsistent file; with all problems, by layer.
    UnsupportedNetworkError
        Listing every layer that cannot be expressed, by index and type.
    """
    path = Path(path)
    if not path.is_file():
        raise NetworkFormatError(f"{path}: there is no such file")
    try:
        with NetxFile(path) as file:
            layers = file.layers(n_layers)
            refuse_unsupported(layers)
            reader = _Reader(input_shape, input_bits, spike_exp=spike_exp, strict=strict)
            return reader.network(layers, metadata={"simulation": file.simulation()})
    except (NetworkFormatError, UnsupportedNetworkError) as error:
        raise type(error)(f"{path}: {error}") from None
    # h5py has no error type of its own: a damaged file fails anywhere inside it.
    except Exception as error:
        raise NetworkFormatError(
            f"{path}: not a readable .net file ({type(error).__name__}: {error})"
        ) from error


class _Reader:
    """Populations and synapses of the layers read so far."""

    def __init__(
        self, shape: tuple[int, ...] | None, bits: int, *, spike_exp: int, strict: bool
    ) -> None:
        self.input_shape = shape
        self.input_bits = bits
        self.spike_exp = spike_exp
        self.strict = strict
        self.source, self.message_bits = INPUT, bits
        self.readout: Readout = "spike_count"
        self.populations: list[Population] = []
        self.synapses: list[Synapse] = []
        self.lost: list[str] = []
        self.assumptions: list[str] = []

    def network(self, layers: list[Fields], metadata: dict[str, Any]) -> ChipNetwork:
        """All layers as one network."""
        damaged = []
        add: dict[str, Callable[[Fields, str], None]] = {
            "input": self._input,
            "flatten": lambda layer, name: None,
            "conv": self._conv,
            "dense": self._dense,
            "dense_rec": self._dense,
        }
        for index, layer in enumerate(layers):
            kind = layer.text("type")
            try:
                add[kind](layer, f"{index}-{kind}")
            except NetworkFormatError as error:
                damaged.append(str(error))
        if damaged:
            raise NetworkFormatError("\n  ".join(damaged))
        if self.lost and self.strict:
            raise UnsupportedNetworkError(
                "netx would change these values; scale them, or read with strict=False:\n  "
                + "\n  ".join(self.lost)
            )
        if self.input_shape is None:
            raise NetworkFormatError("the file does not say its input; give input_shape=(C, H, W)")
        if self.assumptions:
            metadata["assumptions"] = self.assumptions
        if layers[0].text("type") == "input" and "neuron" in layers[0]:
            metadata["input_transform"] = _transform(layers[0])
        return ChipNetwork(
            input_shape=self.input_shape,
            input_bits=self.input_bits,
            populations=tuple(self.populations),
            synapses=tuple(self.synapses),
            readout=self.readout,
            metadata=metadata,
        )

    def _input(self, layer: Fields, name: str) -> None:
        shape = _shape(layer)
        if self.input_shape not in (None, shape):
            raise layer.error("shape", f"is {shape}, but input_shape is {self.input_shape}")
        self.input_shape = shape
        if "neuron" not in layer:
            return
        population = self._population(layer, name, shape, encodes=True)
        if isinstance(population, Cuba):
            port, bits = "bias", reg.BIAS_MANTISSA_MAX.bit_length()
        else:
            port, bits = "input", reg.GRADED_BITS - 1 - self.spike_exp - STATE_EXP
        self.input_bits = self.input_bits or bits
        direct = Direct(sources=(INPUT,), target=name, port=port)
        self._append(layer, population, direct)

    def _conv(self, layer: Fields, name: str) -> None:
        weight = self._whole(layer, "weight")
        if weight.ndim not in (4, 5) or weight.shape[4:] not in ((), (1,)):
            raise layer.error("weight", f"must have shape (O, I, kh, kw), found {weight.shape}")
        (fitted,) = self._fit(layer, [weight.reshape(weight.shape[:4])], dense=False)
        synapse = Conv(
            sources=(self.source,),
            target=name,
            weight=fitted.stored,
            weight_exp=fitted.exponent,
            message_bits=self.message_bits,
            stride=_pair(layer, "stride"),
            padding=_pair(layer, "padding"),
            dilation=_pair(layer, "dilation"),
            groups=layer.integer("groups"),
        )
        self._append(layer, self._population(layer, name, _shape(layer)), synapse)

    def _dense(self, layer: Fields, name: str) -> None:
        shape = (math.prod(_shape(layer)),)
        if layer.is_group("weight"):
            parts = layer.group("weight", f"{layer.name}, weight")
            ports = {"input": (parts, "real"), "imaginary": (parts, "imag")}
        else:
            ports = {"input": (layer, "weight")}
        synapses = []
        for port, (fields, field) in ports.items():
            matrices = [self._matrix(fields, field, shape[0])]
            if layer.text("type") == "dense_rec":
                matrices.append(self._matrix(layer, "weight_rec", shape[0]))
            fitted = self._fit(fields, matrices, dense=True)
            synapses += [
                Dense(
                    sources=(source,),
                    target=name,
                    port=port,
                    weight=part.stored,
                    weight_exp=part.exponent,
                    message_bits=self.message_bits,
                    delay=delay,
                )
                for part, source, delay in zip(
                    fitted, (self.source, name), (_delay(layer, matrices[0]), 1), strict=False
                )
            ]
        if self.input_shape is None:
            self.input_shape = (matrices[0].shape[1],)
        self._append(layer, self._population(layer, name, shape), *synapses)

    def _append(self, layer: Fields, population: Population, *synapses: Synapse) -> None:
        self.populations.append(population)
        self.synapses += synapses
        self.source = population.name
        self.readout = "spike_count" if "neuron" in layer else "membrane"
        self.message_bits = GRADED_MESSAGE_BITS if population.GRADED else 0
        if "neuron" in layer and "messageBits" in (neuron := neuron_of(layer)):
            self.message_bits = neuron.integer("messageBits")

    def _population(
        self, layer: Fields, name: str, shape: tuple[int, ...], *, encodes: bool = False
    ) -> Population:
        if "neuron" not in layer:
            self.assumptions.append(f"{name}: {OPEN_THRESHOLD}")
            return Cuba(
                name=name,
                shape=shape,
                du=0,
                dv=reg.DECAY_SCALE,
                vth=reg.THRESHOLD_MANTISSA_MAX,
                bias_mant=self._bias(layer, shape),
                bias_exp=BIAS_EXP,
            )
        neuron = neuron_of(layer)
        kind = neuron.text("type")
        if kind in CUBA_TYPES:
            return Cuba(
                name=name,
                shape=shape,
                du=_parameter(neuron, "iDecay", shape),
                dv=_parameter(neuron, "vDecay", shape),
                vth=_parameter(neuron, "vThMant", shape),
                bias_mant=0 if encodes else self._bias(layer, shape),
                bias_exp=BIAS_EXP,
            )
        if kind != "SDNN":
            return _resonator(neuron, name, shape)
        if neuron.flag("sigma_output") and not encodes:
            return Sigma(name=name, shape=shape)
        vth = _parameter(neuron, "vThMant", shape)
        if encodes:
            return Delta(
                name=name,
                shape=shape,
                vth=vth,
                spike_exp=self.spike_exp,
                state_exp=STATE_EXP,
            )
        return SigmaDelta(
            name=name,
            shape=shape,
            vth=vth,
            bias=self._bias(layer, shape),
            spike_exp=self.spike_exp,
            state_exp=STATE_EXP,
        )

    def _bias(self, layer: Fields, shape: tuple[int, ...]) -> np.ndarray | int:
        return _spread(self._whole(layer, "bias"), shape) if "bias" in layer else 0

    def _matrix(self, fields: Fields, field: str, rows: int) -> np.ndarray:
        weight = self._whole(fields, field)
        if weight.ndim == 1 and weight.size % rows == 0:
            weight = weight.reshape(rows, -1)
        if weight.ndim != 2 or len(weight) != rows:
            raise fields.error(field, f"must have {rows} rows, found shape {weight.shape}")
        return weight

    def _whole(self, fields: Fields, field: str) -> np.ndarray:
        """Numbers cut toward zero, as netx reads weights and biases."""
        values = fields.numbers(field)
        broken = int(np.count_nonzero(values % 1))
        if broken:
            self.lost.append(f"{fields.name}: {broken} values of '{field}' are not whole")
        return values.astype(np.int32)

    def _fit(self, fields: Fields, weights: list[np.ndarray], *, dense: bool) -> list[FittedWeight]:
        fitted = fit(weights, dense=dense)
        self.lost += [f"{fields.name}: {part.lost}" for part in fitted if part.lost]
        return fitted


def _shape(layer: Fields) -> tuple[int, ...]:
    shape = tuple(int(n) for n in layer.integers("shape").ravel())
    if len(shape) not in (1, 3) or min(shape) < 1 or math.prod(shape) > reg.NEURONS_MAX:
        raise layer.error(
            "shape",
            f"must be (C, H, W) or (F,) of 1 to {reg.NEURONS_MAX} neurons, found {shape}",
        )
    return shape


def _pair(layer: Fields, field: str) -> tuple[int, int]:
    """``(rows, columns)``; one number stands for both."""
    values = layer.integers(field).ravel()
    if values.size not in (1, 2):
        raise layer.error(field, f"must be one or two numbers, found {values.size}")
    return int(values[0]), int(values[-1])


def _delay(layer: Fields, weight: np.ndarray) -> np.ndarray | int:
    """Delays in a shape that broadcasts to the weights': by target, by source, or by both."""
    if "delay" not in layer:
        return 0
    delay = layer.integers("delay")
    if delay.min() < 0 or delay.max() > reg.DELAY_MAX:
        raise layer.error(
            "delay",
            f"must lie in [0, {reg.DELAY_MAX}], found [{delay.min()}, {delay.max()}]; "
            "netx would clamp it: train with a shorter limit",
        )
    rows, columns = weight.shape
    if delay.shape == (rows,):
        return delay[:, None]
    if delay.shape == (columns,):
        return delay[None, :]
    if delay.shape not in ((), (rows, columns)):
        raise layer.error("delay", f"has shape {delay.shape} for weights of {weight.shape}")
    return delay


def _spread(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | int:
    """A parameter per channel, or per neuron: netx stores the latter in the order (W, H, C)."""
    if values.size == 1:
        return int(values.item())
    return values.T if values.shape == shape[::-1] else values


def _parameter(neuron: Fields, field: str, shape: tuple[int, ...]) -> np.ndarray | int:
    return _spread(neuron.integers(field), shape)


def _resonator(neuron: Fields, name: str, shape: tuple[int, ...]) -> ResonateAndFire:
    sin, cos = cut_decays(neuron.numbers("sinDecay"), neuron.numbers("cosDecay"))
    return ResonateAndFire(
        name=name,
        shape=shape,
        sin_decay=_spread(sin, shape),
        cos_decay=_spread(cos, shape),
        vth=int(neuron.number("vThMant") * (1 << STATE_EXP)),
        state_exp=STATE_EXP,
        izhikevich="PHASE" not in neuron.text("type"),
    )


def _transform(layer: Fields) -> dict[str, float]:
    """What training applied to the input before its neurons."""
    defaults = {"weight": 64, "bias": 0}
    return {
        name: layer.number(name) if name in layer else default for name, default in defaults.items()
    }
