"""Zero-export control of battery-fed Hoymiles micro-inverters through OpenDTU, shown on a Victron GX."""

from importlib.metadata import version

from opendtu_dcload.compat import fill_gaps

__version__ = version("opendtu-dcload")
fill_gaps()
