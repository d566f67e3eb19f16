"""The simulated house: measured loads, inverters, radio, meters; on virtual time or behind real HTTP."""
