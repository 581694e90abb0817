"""Lava's CPU simulation in a supervised child process."""
