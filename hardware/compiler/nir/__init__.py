"""NIR graphs of any framework, as a network in floats."""
