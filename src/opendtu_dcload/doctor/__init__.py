"""Finds out what is wrong before the user must: `check`, `check --step`, `init` and `import-config`."""
