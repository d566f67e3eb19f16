"""What a person is shown of the running plant: what flows, and why."""
