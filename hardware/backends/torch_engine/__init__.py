"""The simulator on torch, for GPUs; the only part of hardware that knows torch."""
