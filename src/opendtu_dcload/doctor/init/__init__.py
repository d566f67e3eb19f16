"""`init`: from what the network tells and what only the user knows to a config.toml."""
