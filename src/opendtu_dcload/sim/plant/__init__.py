"""The simulated plant on virtual time."""
