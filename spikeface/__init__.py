"""spikeface: train spiking networks on event faces, run them exactly as the chip would."""

__version__ = "0.1.0"
