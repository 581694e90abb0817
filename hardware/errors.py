"""What can go wrong between a trained network and a chip, as errors a user can act on.

Every message says what was found, what is allowed and what to do; all problems of a network are
reported in one error, by layer name.
"""


class HardwareError(Exception):
    """Base of all errors that this package raises on purpose."""


class NetworkFormatError(HardwareError):
    """A file or description does not hold a valid network."""


class UnsupportedNetworkError(HardwareError):
    """A valid network that this compiler or backend cannot express."""


class BackendUnavailableError(HardwareError):
    """The backend is not installed or not reachable here."""


class BackendRunError(HardwareError):
    """The backend started and failed, crashed, or ran out of time."""


class ArithmeticFaultError(HardwareError):
    """Strict mode: a value left its register, which a chip would wrap, saturate or cut silently.

    Parameters
    ----------
    layer, fault : str
    neuron : tuple of int
    step, sample : int
        From 0.
    """

    def __init__(
        self, layer: str, fault: str, neuron: tuple[int, ...], step: int, sample: int
    ) -> None:
        super().__init__(
            f"{layer}: {fault} in neuron {neuron} at step {step} of sample {sample}; "
            "quantise with calibration, which keeps states in range, or run without 'strict' to do "
            "what the chip does"
        )
        self.layer, self.fault = layer, fault
        self.neuron, self.step, self.sample = neuron, step, sample
