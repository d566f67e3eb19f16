"""When something that changed may be written to the flash of a GX: once it rests, and not too often."""

from __future__ import annotations

from collections import deque

HOUR_S = 3600.0


class Pacer:
    """Values that wait to be written, and how often some were."""

    def __init__(self, per_hour: int) -> None:
        """Nothing waits yet; `per_hour` is how much may be written within any hour."""
        self._per_hour = per_hour
        self._due_s: dict[str, float] = {}
        self._written_at_s: deque[float] = deque(maxlen=per_hour)

    def changed(self, key: str, due_s: float) -> None:
        """A value changed: it is to be written at `due_s`, if it does not change again before."""
        self._due_s[key] = due_s

    def forget(self, key: str) -> None:
        """Nothing has to be written any more."""
        self._due_s.pop(key, None)

    def due(self, now_s: float) -> str | None:
        """Return what may be written now, the longest due first; None when nothing may."""
        key = min(self._due_s, key=self._due_s.__getitem__, default=None)
        return key if key is not None and now_s >= max(self._due_s[key], self._free_s()) else None

    def written(self, key: str, now_s: float) -> None:
        """It is being written, well or not."""
        self.forget(key)
        self._written_at_s.append(now_s)

    @property
    def next_s(self) -> float | None:
        """When `due` will have something at the earliest; None = nothing waits."""
        return max(min(self._due_s.values()), self._free_s()) if self._due_s else None

    def _free_s(self) -> float:
        is_full = len(self._written_at_s) == self._per_hour
        return self._written_at_s[0] + HOUR_S if is_full else float("-inf")
