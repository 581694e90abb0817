"""Spiking networks for event faces: data, models, surrogate-gradient training, NIR export.

Axes, everywhere in this project: ``N`` batch, ``T`` time steps, ``C`` channels, ``H`` rows,
``W`` columns. Events are structured arrays with the fields ``x, y, t, p``: ``t`` in microseconds,
``p`` in {0, 1}. A sensor size is always ``(width, height)``.
"""
