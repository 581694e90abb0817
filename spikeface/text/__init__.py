"""Results in words, numbers as a person reads them."""
