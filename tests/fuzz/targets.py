"""All doors."""

from tests.fuzz import broker_doors, bus_doors, file_doors, gx_doors, opendtu_doors, shelly_doors, web_doors

TARGETS = {
    target.name: target
    for doors in (shelly_doors, opendtu_doors, file_doors, bus_doors, broker_doors, gx_doors, web_doors)
    for target in doors.TARGETS
}
