"""The services that are shown, one file each."""
