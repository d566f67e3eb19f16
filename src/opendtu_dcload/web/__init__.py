"""The status page: what is known now and what was, as a page, JSON and metrics; one more listener of the state."""
