"""Runs as pictures, as SVG: what all plays draw with."""
