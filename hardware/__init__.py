"""Loihi-class chips in integers: what they are, how networks get in, where they run, what it costs.

Four floors, and nothing on a lower one knows a higher one:
``chip`` (ground) <- ``compiler``, ``backends`` <- ``analysis``.
"""
