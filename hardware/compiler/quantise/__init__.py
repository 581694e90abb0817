"""Floats to integers, and what that changed."""
