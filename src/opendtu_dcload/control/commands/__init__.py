"""Which commands go out, when, and what comes of them."""
