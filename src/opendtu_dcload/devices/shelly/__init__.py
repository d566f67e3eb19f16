"""Shellies: meters of all generations, and relays."""
