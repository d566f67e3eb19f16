"""`import-config`: from the original, dbus-opendtu-DC-load, to this program."""
