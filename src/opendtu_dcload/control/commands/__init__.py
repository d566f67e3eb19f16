"""Which commands go out, when, and what becomes of them."""
