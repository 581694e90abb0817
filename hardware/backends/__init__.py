"""Where a ChipNetwork runs: the integer simulator, Lava on the CPU, Loihi when reachable."""
