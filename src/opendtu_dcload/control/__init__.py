"""Control: what the plant should give, why, and how that becomes limits."""
