"""Figures: one function draws one figure and returns it; ``style`` is how all of them look."""
