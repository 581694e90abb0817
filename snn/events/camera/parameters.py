"""What a camera's pixels are like: parameters of both pixel models, and presets by name.

``camera_parameters`` builds a camera as a command line does: a preset, and single values on top.

>>> camera_parameters("spiking-fer", {"refractory_period": 0.02}).refractory_period
0.02
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from math import isfinite
from typing import Any

from snn.errors import SnnError


@dataclass(frozen=True)
class CameraParameters:
    """Parameters of v2e's pixel model, under v2e's names; the defaults are a camera without noise.

    Of v2e 1.5.1 the three experimental pixels are left out: the centre-surround one
    (``cs_lambda_pixels``, ``cs_tau_p_ms``), the adaptive photoreceptor (``scidvs``) and input that
    is logarithmic already (``hdr``). All three are off by default in v2e.

    Parameters
    ----------
    pos_thres, neg_thres : float
        Nominal ON and OFF threshold in units of log intensity.
    sigma_thres : float
        Standard deviation of the thresholds from pixel to pixel.
    cutoff_hz : float
        Cut-off of the photoreceptor's low-pass for a white pixel; darker ones are slower. 0 is off.
    leak_rate_hz : float
        Rate of the ON events that an unchanging pixel leaks.
    leak_jitter_fraction : float
        Relative jitter of the leak from frame to frame.
    noise_rate_cov_decades : float
        Spread of the leak rate from pixel to pixel, in decades.
    shot_noise_rate_hz : float
        Rate of noise events (both polarities together) of a black pixel.
    photoreceptor_noise : bool
        Make the noise events by Gaussian noise on the photoreceptor, low-passed at `cutoff_hz` and
        of the size that gives about `shot_noise_rate_hz`, in place of independent events. Needs
        both to be above 0, and frames faster than ``2π·cutoff_hz``.
    refractory_period : float
        Dead time of a pixel after an event, in seconds.

    Raises
    ------
    ValueError
        For values that are not finite, negative ones, thresholds of 0, or photoreceptor noise
        without a rate and a cut-off.
    """

    pos_thres: float = 0.2
    neg_thres: float = 0.2
    sigma_thres: float = 0.02
    cutoff_hz: float = 0.0
    leak_rate_hz: float = 0.0
    leak_jitter_fraction: float = 0.1
    noise_rate_cov_decades: float = 0.1
    shot_noise_rate_hz: float = 0.0
    photoreceptor_noise: bool = False
    refractory_period: float = 0.0

    def __post_init__(self) -> None:
        _check(self)
        if self.photoreceptor_noise and not (self.shot_noise_rate_hz > 0 and self.cutoff_hz > 0):
            raise ValueError(
                "photoreceptor_noise needs shot_noise_rate_hz and cutoff_hz above 0, got "
                f"{self.shot_noise_rate_hz} and {self.cutoff_hz}"
            )


@dataclass(frozen=True)
class EsimParameters:
    """Parameters of the ESIM pixel model; the shared names mean the same as in v2e's.

    Parameters
    ----------
    pos_thres, neg_thres : float
        ON and OFF contrast threshold in units of log intensity.
    sigma_thres : float
        Standard deviation of the thresholds from pixel to pixel.
    refractory_period : float
        Dead time of a pixel after an event, in seconds.
    log_eps : float
        Added to the intensity (0 to 1) before the logarithm.

    Raises
    ------
    ValueError
        For values that are not finite, negative ones, and thresholds or `log_eps` of 0.
    """

    pos_thres: float = 0.2
    neg_thres: float = 0.2
    sigma_thres: float = 0.0
    refractory_period: float = 0.0
    log_eps: float = 0.001

    def __post_init__(self) -> None:
        _check(self)
        if self.log_eps == 0:
            raise ValueError("log_eps must be above 0: the logarithm of a black pixel is infinite")


def _check(parameters: CameraParameters | EsimParameters) -> None:
    """Refuse what no pixel can have."""
    if parameters.pos_thres <= 0 or parameters.neg_thres <= 0:
        raise ValueError(
            f"thresholds must be above 0, got {parameters.pos_thres} and {parameters.neg_thres}"
        )
    wrong = {
        name: value
        for name, value in vars(parameters).items()
        if not (isfinite(value) and value >= 0)
    }
    if wrong:
        raise ValueError(f"camera parameters must be finite and not negative, got {wrong}")


V2E_DEFAULTS = CameraParameters(
    sigma_thres=0.03,
    cutoff_hz=300.0,
    leak_rate_hz=0.01,
    shot_noise_rate_hz=0.001,
    refractory_period=0.0005,
)

# The first is v2e's command line without options, `clean` and `noisy` are its --dvs_params.
# `spiking-fer` is how the FerDVS recordings were made: no noise, v2e's own refractory period.
# `eck+` has v2e's noise of 2020, when there was no refractory period and no spread of the leak.
PRESETS: dict[str, CameraParameters | EsimParameters] = {
    "v2e": V2E_DEFAULTS,
    "clean": CameraParameters(leak_jitter_fraction=0.0, noise_rate_cov_decades=0.0),
    "noisy": CameraParameters(
        sigma_thres=0.05, cutoff_hz=30.0, leak_rate_hz=0.1, shot_noise_rate_hz=5.0
    ),
    "spiking-fer": CameraParameters(refractory_period=0.0005),
    "eck+": replace(
        V2E_DEFAULTS,
        pos_thres=0.15,
        neg_thres=0.15,
        leak_jitter_fraction=0.0,
        noise_rate_cov_decades=0.0,
        refractory_period=0.0,
    ),
    "esim": EsimParameters(),
}


def camera_parameters(
    preset: str = "v2e", overrides: Mapping[str, float] | None = None
) -> CameraParameters | EsimParameters:
    """A camera by name, with single values changed.

    Parameters
    ----------
    preset : str
        A name of ``PRESETS``; ``"v2e"`` is v2e's command line without options, ``"esim"`` is the
        other pixel model.
    overrides : mapping of str to float, optional
        Values by parameter name; a switch is 0 or 1.

    Returns
    -------
    CameraParameters or EsimParameters
        Whichever model the preset belongs to.

    Raises
    ------
    SnnError
        For an unknown preset or parameter, naming the nearest known one, or an unusable value.
    """
    if preset not in PRESETS:
        raise SnnError(
            f"no camera preset is called {preset!r}{_nearest(preset, PRESETS)}; "
            f"there are {', '.join(PRESETS)}"
        )
    base = PRESETS[preset]
    known = {field.name: field.type for field in fields(base)}
    values: dict[str, Any] = {}
    for name, value in (overrides or {}).items():
        if name not in known:
            raise SnnError(
                f"the camera {preset!r} has no parameter {name!r}{_nearest(name, known)}; "
                f"it has {', '.join(known)}"
            )
        values[name] = _switch(name, value) if known[name] == "bool" else value
    try:
        return type(base)(**{**vars(base), **values})
    except ValueError as error:
        raise SnnError(f"the camera {preset!r} with {dict(values)}: {error}") from error


def _nearest(name: str, known: Mapping[str, object]) -> str:
    matches = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def _switch(name: str, value: float) -> bool:
    if value not in (0, 1):
        raise SnnError(f"{name} is a switch, 0 or 1; got {value}")
    return bool(value)
