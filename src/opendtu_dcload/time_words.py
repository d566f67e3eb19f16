"""How long something lasted and how long ago it was, in words: wherever a person reads it, log, line or page."""

from __future__ import annotations

UNITS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))


def lasted(time_s: float) -> str:
    """Return how long something lasted in its largest whole unit of which there are two, such as "119 s" or "2 min"."""
    unit_s, unit = next(((s, unit) for s, unit in UNITS if time_s >= 2 * s), (1.0, "s"))
    return f"{time_s // unit_s:.0f} {unit}"


def ago(time_s: float) -> str:
    """Return how long ago something was, such as "2 min ago"."""
    return f"{lasted(time_s)} ago"
