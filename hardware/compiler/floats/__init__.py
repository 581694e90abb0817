"""A spiking network in floats, and its executor."""
