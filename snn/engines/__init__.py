"""The same network on different training engines: one file an engine, one function a file.

`blocks` runs any graph of ``snn.models`` with weights and normalisation of torch; `norse` and
`fused` are two functions that step its neurons. `slayer` is lava-dl's own blocks. Engines differ in
neuron code, weight grid and speed; what they mean is the same, and ``trained_layers()`` says it in
one form.
"""
