"""The same network on different training engines: one file an engine, one function a file.

An engine builds a ``SpikingNetwork`` from the layers of ``snn.models``. Engines differ in neuron
code, weight grid and speed; what they mean is the same, and ``layers()`` says it in one form.
"""
