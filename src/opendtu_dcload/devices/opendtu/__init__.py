"""OpenDTU: its REST interface."""
