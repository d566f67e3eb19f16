"""What the GX has: services that are read, settings that are kept, controls that a user sets."""
