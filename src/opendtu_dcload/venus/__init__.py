"""The services on the D-Bus of a Victron GX."""
