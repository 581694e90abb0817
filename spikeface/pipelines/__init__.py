"""Whole ways in one command: from rendered faces to a report."""
