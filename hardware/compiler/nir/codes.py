"""The codes of converted networks: what an integrator's metadata say about how it answers.

NIR has no neuron that sends a level or a change. A converter writes an IF node and says the rest
in its metadata, ``code`` and the keys of that code:

    rate          reset, v_init               spikes; at its threshold unless ``fires`` says above
    graded        levels, [negative_slope]    in each step one message, the level of its input
    sigma_delta   vth, rectify                changes of its activation that reach ``vth``

``vth`` is ``delta`` in `hardware.compiler.floats.network`, which has the equations. A key that is
missing, or belongs to another code, is refused by name. An accumulator (I) that is read out has a
``code`` without keys: behind levels it is the sum of the last step, behind changes its bias counts
once.

On a Loihi 2, sigma-delta neurons are stock (``lava.proc.sdn``); levels need microcode, and so do
rates with reset by subtraction and an initial voltage, or two compartments a neuron.

>>> read_code(node, {"code": "graded", "levels": 8})
Code(kind='levels', levels=8, ...)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from hardware.chip.registers import LEVELS_MAX
from hardware.compiler.floats.network import Fires, Kind
from hardware.errors import NetworkFormatError

REQUIRED = {
    "rate": ("reset", "v_init"),
    "graded": ("levels",),
    "sigma_delta": ("vth", "rectify"),
}
OPTIONAL = {"rate": ("fires", "refractory"), "graded": ("negative_slope",), "sigma_delta": ()}
KINDS: dict[str, Kind] = {"rate": "neuron", "graded": "levels", "sigma_delta": "sigma_delta"}
ALL_KEYS = {key for table in (REQUIRED, OPTIONAL) for keys in table.values() for key in keys}
NEED_A_CODE = ALL_KEYS - {"reset", "v_init", "fires", "refractory"}  # any neuron may have these


@dataclass(frozen=True, kw_only=True)
class Code:
    """What a node's metadata say; see `hardware.compiler.floats.network.FloatPopulation`.

    An accumulator ``forgets`` what arrived before this step, and its ``bias_counts_once``.
    """

    kind: Kind = "neuron"
    fires: Fires = "above"
    levels: int = 0
    negative_slope: np.ndarray | float = 0.0
    delta: np.ndarray | float = 0.0
    rectify: bool = True
    forgets: bool = False
    bias_counts_once: bool = False


def read_code(node: nir.NIRNode, metadata: Mapping[str, Any]) -> Code | None:
    """The code of a neuron node, or None where its metadata name none.

    Parameters
    ----------
    node : NIRNode
    metadata : mapping
        As plain Python values.

    Raises
    ------
    NetworkFormatError
        For a code that there is not, keys that are missing or belong to another code, and values
        that cannot be meant.
    """
    name = metadata.get("code")
    foreign = sorted(NEED_A_CODE & metadata.keys())
    if name is None:
        if foreign:
            raise NetworkFormatError(f"{foreign[0]} needs a code, one of {sorted(REQUIRED)}")
        return None
    if not isinstance(name, str) or name not in REQUIRED:
        raise NetworkFormatError(f"code must be one of {sorted(REQUIRED)}, got {name!r}")
    if isinstance(node, nir.I):
        return _accumulator(name, metadata)
    if not isinstance(node, nir.IF):
        raise NetworkFormatError(
            f"code {name!r} is said of an IF or I, not of a {type(node).__name__}"
        )
    if missing := [key for key in REQUIRED[name] if metadata.get(key) is None]:
        raise NetworkFormatError(f"code {name!r} needs {' and '.join(missing)}")
    known = {*REQUIRED[name], *OPTIONAL[name]}
    if "negative_slope" in metadata and "negative_slope" not in known:
        raise NetworkFormatError(
            f"a negative_slope is for code 'graded': no chip has such neurons of code {name!r}; "
            "convert with a pair of neurons, or with a ReLU"
        )
    if foreign := sorted((ALL_KEYS & metadata.keys()) - known):
        raise NetworkFormatError(f"{foreign[0]} means nothing to code {name!r}; leave it out")
    return READERS[name](metadata)


def quantum_of(node: nir.NIRNode) -> np.ndarray | float:
    """What a message of 1 stands for in the units of the source's activation; 1 without a code."""
    metadata = node.metadata or {}
    code, levels = metadata.get("code"), metadata.get("levels")
    code = code.decode() if isinstance(code, bytes) else code
    if code == "graded" and levels:
        return np.asarray(node.v_threshold, np.float64) / float(levels)
    return np.asarray(node.v_threshold, np.float64) if code == "rate" else 1.0


def _accumulator(name: str, metadata: Mapping[str, Any]) -> Code:
    if foreign := sorted(NEED_A_CODE & metadata.keys()):
        raise NetworkFormatError(f"{foreign[0]} means nothing to an I; leave it out")
    return Code(kind="readout", forgets=name == "graded", bias_counts_once=name == "sigma_delta")


def _rate(metadata: Mapping[str, Any]) -> Code:
    return Code(fires=metadata.get("fires", "at_or_above"))


def _graded(metadata: Mapping[str, Any]) -> Code:
    levels = metadata["levels"]
    if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels <= LEVELS_MAX:
        raise NetworkFormatError(
            f"levels must be a whole number in [1, {LEVELS_MAX}], got {levels!r}"
        )
    return Code(kind="levels", levels=levels, negative_slope=metadata.get("negative_slope", 0.0))


def _sigma_delta(metadata: Mapping[str, Any]) -> Code:
    rectify = metadata["rectify"]
    if not isinstance(rectify, bool | int) or rectify not in (0, 1):
        raise NetworkFormatError(f"rectify must be true or false, got {rectify!r}")
    return Code(kind="sigma_delta", delta=metadata["vth"], rectify=bool(rectify))


READERS = {"rate": _rate, "graded": _graded, "sigma_delta": _sigma_delta}
