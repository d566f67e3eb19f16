"""Clients of the meter and the DTU: they return readings, raise errors and decide nothing."""
