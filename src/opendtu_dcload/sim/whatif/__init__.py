"""`simulate`: what the user's own plant would have done with a load, and what other settings would have."""
