"""The config.toml that the doctor writes."""
