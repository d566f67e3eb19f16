"""The simulated devices behind real HTTP."""
