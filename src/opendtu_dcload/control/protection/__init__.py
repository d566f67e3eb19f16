"""What the plant may give at most."""
