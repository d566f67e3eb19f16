"""All faults that are played on virtual time."""

from __future__ import annotations

from tests.faults.dtu_rows import DTUS
from tests.faults.inverter_rows import INVERTER
from tests.faults.meter_rows import METERS
from tests.faults.network_rows import NETWORKS
from tests.faults.page_rows import TIMED
from tests.faults.push_rows import PUSHES
from tests.plays.lie_rows import LIES

FAULTS = (*METERS, *DTUS, *PUSHES, *NETWORKS, *INVERTER, *LIES, *TIMED)
