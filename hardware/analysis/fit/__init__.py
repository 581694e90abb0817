"""Cores, chips and boards of a network: an estimate, its bounds, and what would make it smaller."""

from hardware.analysis.fit.fit import Fit, fit_network, fit_shapes
from hardware.analysis.fit.shapes import NetworkShape, shapes_of

__all__ = ["Fit", "NetworkShape", "fit_network", "fit_shapes", "shapes_of"]
