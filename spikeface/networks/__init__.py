"""Networks from any file: opened, shown an input, simulated, compared hop by hop."""
