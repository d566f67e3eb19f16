"""The command `status`: what a running service says of itself, in a terminal."""
