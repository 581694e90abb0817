"""Artificial networks in spikes: read from torch, folded into messages, run in three codes."""

from conversion.spiking.converter import SpikingEncoder, convert

__all__ = ["SpikingEncoder", "convert"]
