"""What goes wrong, and what is promised of it: the whole program on virtual time, one row a fault."""
