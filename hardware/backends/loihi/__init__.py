"""A Loihi 2 board: whether one is there, what a run would be, and the run itself."""

from hardware.backends.loihi.availability import loihi_availability as loihi_availability

__all__ = ["loihi_availability"]
