"""The specification of neurons: one time step of each model, as pure integer functions.

Nothing here is fast and nothing here is clever; every engine must equal these functions bit for
bit. All quantities are integers, ``tz(x) = sign(x) * (|x| >> 12)`` rounds toward zero, and every
function returns ``(message, state, faults)``: faults maps what an unchecked chip does silently,
``"u wrapped"`` or ``"v saturated"``, to where it happened.

**CUBA**, the current-based leaky integrate-and-fire neuron (`cuba_step`):

    u' = tz(u * (4096 - du)) + (a << 6)           wrapped once to signed 24 bits
    v' = tz(v * (4096 - dv)) + u' + bias          saturated at +-(2**23 - 1)
    s  = v' > (vth << 6)
    v  = 0 or v' - (vth << 6) where s else v'

Here ``du`` is the decay that acts, Lava's ``du`` register plus one.

**Sigma-delta** (`sigma_delta_step`): ``sigma += a``; ``act = relu(sigma + bias)``; the change of
``act`` is sent where it reaches the threshold and kept as residue elsewhere.

**Resonate and fire** (`resonator_step`): a damped rotation of ``(re, im)``, which spikes when it
passes the real axis above the threshold, or (Izhikevich's form) when ``im`` reaches it.

**Relay** (`relay_step`): sends its input where that is above the threshold, and forgets it.

**Levels** (`level_step`), an activation of a few levels as one graded spike, without memory:

    z = 64 a + levels * bias                      saturated at +-(2**23 - 1)
    n = clip(floor((z + 32 vth) / (64 vth)), 0, levels)
    n = -clip(floor((-z + 32 vth_negative) / (64 vth_negative)), 0, levels)   where z < 0

Sources, all of lava-nc 0.10.0: ``lava/proc/lif/models.py``, ``AbstractPyLifModelFixed``;
``lava/proc/sdn/models.py``; ``lava/proc/rf/models.py`` and ``rf_iz/models.py``;
``lava/proc/graded/models.py``. Refractoriness follows ``PyLifRefractoryModelFloat``; the reset by
subtraction, the initial voltage and the levels are this project's own, and need microcode on a
Loihi 2. Levels are the quantised clip-floor-shift activation of Bu et al., ICLR 2022, sent whole in
one step instead of as a rate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hardware.chip.registers import DECAY_BITS, DECAY_SCALE, INPUT_SHIFT, STATE_LIMIT

Faults = dict[str, np.ndarray]


class CubaState(NamedTuple):
    """Current ``u``, voltage ``v``, and for how many more steps the neuron rests; int64."""

    u: np.ndarray
    v: np.ndarray
    rest: np.ndarray


class SigmaDeltaState(NamedTuple):
    """Accumulated input, activation last seen, and what of it was not yet sent; int64."""

    sigma: np.ndarray
    act: np.ndarray
    residue: np.ndarray


class ResonatorState(NamedTuple):
    """Real and imaginary part; int64."""

    real: np.ndarray
    imag: np.ndarray


class LevelState(NamedTuple):
    """The activation before it becomes a level; int64. No step looks at that of the one before."""

    z: np.ndarray


def toward_zero(product: np.ndarray) -> np.ndarray:
    """Divide by 4096 and round toward zero."""
    return np.sign(product) * (np.abs(product) >> DECAY_BITS)


def decay(state: np.ndarray, amount: np.ndarray | int) -> np.ndarray:
    """Multiply by ``(4096 - amount) / 4096`` and round toward zero."""
    return toward_zero(state.astype(np.int64) * (DECAY_SCALE - amount))


def wrap_current(u: np.ndarray) -> np.ndarray:
    """Wrap once into 24 bits as Lava does: +2**23 is legal, -2**23 becomes +2**23."""
    u = np.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)
    return np.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u)


def saturate(v: np.ndarray) -> np.ndarray:
    """Clip to ``+-(2**23 - 1)``."""
    return np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1)


def cuba_step(
    state: CubaState,
    a: np.ndarray,
    *,
    du: np.ndarray | int,
    dv: np.ndarray | int,
    vth: np.ndarray | int,
    bias: np.ndarray | int,
    subtract: bool = False,
    refractory: int = 0,
) -> tuple[np.ndarray, CubaState, Faults]:
    """One step of the CUBA neuron.

    Parameters
    ----------
    state : CubaState
        Integer arrays of any common shape.
    a : ndarray of int
        Summed synaptic input of this step, before the shift by 6.
    du, dv : int or ndarray
        Decays in [0, 4096], in units of 1/4096 per step.
    vth : int or ndarray
        Threshold mantissa; a neuron spikes when its voltage is strictly above ``vth << 6``.
    bias : int or ndarray
        Bias mantissa already shifted by its exponent.
    subtract : bool
        A spike takes the threshold from the voltage instead of setting it to zero.
    refractory : int
        Steps after a spike in which the voltage stands still and no spike is sent; the current
        goes on.

    Returns
    -------
    spikes : ndarray of bool
    state : CubaState
    faults : dict of str to ndarray of bool
    """
    threshold = np.asarray(vth, np.int64) << INPUT_SHIFT
    raw_u = decay(state.u, du) + (a.astype(np.int64) << INPUT_SHIFT)
    u = wrap_current(raw_u)
    awake = state.rest == 0
    raw_v = np.where(awake, decay(state.v, dv) + u + bias, state.v)
    v = saturate(raw_v)
    spikes = awake & (v > threshold)
    after = v - threshold if subtract else np.zeros_like(v)
    rest = np.where(spikes, refractory, np.maximum(state.rest - 1, 0))
    faults = {"u wrapped": u != raw_u, "v saturated": v != raw_v}
    return spikes, CubaState(u, np.where(spikes, after, v), rest), faults


def relay_step(
    a: np.ndarray, *, vth: np.ndarray | int, rectify: bool = False
) -> tuple[np.ndarray, Faults]:
    """Send the input where its size (or, rectified, its value) is above the threshold."""
    size = a if rectify else np.abs(a)
    return np.where(size > vth, a, 0), {"payload over 24 bits": np.abs(a) >= STATE_LIMIT}


def level_step(
    a: np.ndarray,
    *,
    vth: np.ndarray | int,
    vth_negative: np.ndarray | int,
    bias: np.ndarray | int,
    levels: int,
) -> tuple[np.ndarray, LevelState, Faults]:
    """Send the activation in units of a level, rounded half up and clipped.

    Parameters
    ----------
    a : ndarray of int
        Summed synaptic input of this step, before the shift by 6.
    vth : int or ndarray
        Size of one level, above 0.
    vth_negative : int or ndarray
        Size of one level below zero, where rounding is away from zero at the half; 0 sends nothing
        there.
    bias : int or ndarray
        In units of ``1 / 64`` input; it acts ``levels`` times.
    levels : int
        The largest message.

    Returns
    -------
    message : ndarray of int64
    state : LevelState
    faults : dict of str to ndarray of bool
        Where the sum left its register and a wider one would give another message.
    """
    raw = (a.astype(np.int64) << INPUT_SHIFT) + levels * np.asarray(bias, np.int64)
    z = saturate(raw)
    message = np.where(z >= 0, _level(z, vth, levels), -_level(-z, vth_negative, levels))
    inside = (np.abs(message) < levels) & (message != 0)
    return message, LevelState(z), {"z saturated": (z != raw) & inside}


def _level(z: np.ndarray, vth: np.ndarray | int, levels: int) -> np.ndarray:
    """How many levels of size ``vth << 6`` a sum has, rounded half up."""
    vth = np.asarray(vth, np.int64)
    rounded = (z + (vth << INPUT_SHIFT - 1)) // np.maximum(vth << INPUT_SHIFT, 1)
    return np.where(vth > 0, np.clip(rounded, 0, levels), 0)


def sigma_step(sigma: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, Faults]:
    """Accumulate: the message is the state."""
    total = sigma + a
    return total, {"sigma over 24 bits": np.abs(total) >= STATE_LIMIT}


def delta_step(
    act: np.ndarray,
    previous: np.ndarray,
    residue: np.ndarray,
    *,
    vth: np.ndarray | int,
    state_exp: int,
) -> tuple[np.ndarray, np.ndarray, Faults]:
    """Send the change of an activation where it reaches the threshold.

    Parameters
    ----------
    act, previous, residue : ndarray of int64
        Activation of this step and the last one, scaled by ``2**(spike_exp + state_exp)``, and
        what was held back so far.
    vth : ndarray of int64
        Threshold in the same scale.
    state_exp : int
        Low bits that the message drops.

    Returns
    -------
    message, residue : ndarray of int64
    faults : dict of str to ndarray of bool
    """
    delta = act - previous + residue
    sent = np.where(np.abs(delta) >= vth, delta, 0)
    return sent >> state_exp, delta - sent, {"act over 24 bits": np.abs(act) >= STATE_LIMIT}


def sigma_delta_step(
    state: SigmaDeltaState,
    a: np.ndarray,
    *,
    vth: np.ndarray | int,
    bias: np.ndarray | int,
    state_exp: int,
    rectify: bool = True,
) -> tuple[np.ndarray, SigmaDeltaState, Faults]:
    """Accumulate, add the bias, rectify, and send the change (see `delta_step`).

    ``vth`` and ``bias`` are scaled by ``2**(spike_exp + state_exp)``.
    """
    sigma, faults = sigma_step(state.sigma, a)
    act = np.maximum(sigma + bias, 0) if rectify else sigma + bias
    message, residue, more = delta_step(act, state.act, state.residue, vth=vth, state_exp=state_exp)
    return message, SigmaDeltaState(sigma, act, residue), faults | more


def resonator_step(
    state: ResonatorState,
    a_real: np.ndarray,
    a_imag: np.ndarray,
    *,
    sin_decay: np.ndarray | int,
    cos_decay: np.ndarray | int,
    vth: np.ndarray | int,
    state_exp: int,
    izhikevich: bool = False,
) -> tuple[np.ndarray, ResonatorState, Faults]:
    """One step of the resonate-and-fire neuron.

    Parameters
    ----------
    state : ResonatorState
    a_real, a_imag : ndarray of int
        Input of the real and the imaginary part, before the shift by ``state_exp``.
    sin_decay, cos_decay : int or ndarray
        ``(1 - alpha) sin(2 pi / period)`` and the cosine, in units of 1/4096, cut toward zero.
    vth : int or ndarray
        Threshold, already shifted by ``state_exp``.
    izhikevich : bool
        Spike where ``im >= vth``, then set ``re = 0`` and ``im = vth - 1``; otherwise spike where
        ``re >= vth`` in the step in which ``im`` becomes non-negative, without a reset.
    """
    re, im = state
    raw_re = toward_zero(cos_decay * re) - toward_zero(sin_decay * im)
    raw_im = toward_zero(sin_decay * re) + toward_zero(cos_decay * im)
    raw_re = raw_re + (a_real.astype(np.int64) << state_exp)
    raw_im = raw_im + (a_imag.astype(np.int64) << state_exp)
    new_re, new_im = saturate(raw_re), saturate(raw_im)
    faults = {"real saturated": new_re != raw_re, "imag saturated": new_im != raw_im}
    if not izhikevich:
        spikes = (new_re >= vth) & (new_im >= 0) & (im < 0)
        return spikes, ResonatorState(new_re, new_im), faults
    spikes = new_im >= vth
    after = ResonatorState(np.where(spikes, 0, new_re), np.where(spikes, vth - 1, new_im))
    return spikes, after, faults
