"""What is shown to a person at a terminal: texts that fit, small plots, a few rows drawn in place."""
