"""How much the plant should give, and which inverter gives it."""
