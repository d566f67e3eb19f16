"""Zero-export control of battery-fed Hoymiles micro-inverters through OpenDTU, shown on a Victron GX."""

from importlib.metadata import version

__version__ = version("opendtu-dcload")
