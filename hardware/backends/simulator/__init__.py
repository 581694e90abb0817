"""The integer simulator: fast, equal to the specification bit for bit."""
