"""A load played to the controller on virtual time, and what is said of it."""
