"""How networks come in: NIR to float description, float to integers."""
