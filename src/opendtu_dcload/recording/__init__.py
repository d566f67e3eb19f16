"""What the controller saw, was told and decided, line by line; to be decided again elsewhere and later."""
