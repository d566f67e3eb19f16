"""What a measured output says of what is believed: the model is right, or the acknowledged limit does not rule."""

from __future__ import annotations

import math
from collections import deque

from opendtu_dcload.control.inverter.output_rules import KEPT_LIMITS, TOLERATED_SHARE, tolerated_w

TRUSTED_SHARE, TRUSTED_W = 0.3, 15.0
"""So far may a measured output be from what the model headed for: ramps, tolerance and the DTU's rounding."""
TRUSTED_WITHIN_S = 30.0
"""A measured output is compared with all that the model headed for in this time: it may be that old."""
EXCESS_SAMPLES = 2
"""So many settled measurements above the limit mean that the limit is not in force."""
EXCESS_AGAIN_S = 60.0
"""A limit that is not in force is not sent again sooner: as often as a limit may be repeated."""


class ModelTrust:
    """Whether the output was once measured to be what its limit says, so the meter can be judged by its steps."""

    def __init__(self) -> None:
        self.is_trusted = False
        self._headed_for: deque[tuple[float, float]] = deque([(-math.inf, 0.0)], KEPT_LIMITS)
        """Outputs that the model headed for lately, with the time."""

    def head_for(self, at_s: float, output_w: float) -> None:
        """Note that the model heads for another output."""
        self._headed_for.append((at_s, output_w))

    def begin_anew(self, output_w: float) -> None:
        """Note that the model was set to an output."""
        self._headed_for.clear()
        self._headed_for.append((-math.inf, output_w))

    def compare(self, output_w: float, now_s: float) -> None:
        """Take a measured output."""
        while len(self._headed_for) > 1 and self._headed_for[1][0] < now_s - TRUSTED_WITHIN_S:
            self._headed_for.popleft()
        lowest_w, highest_w = min(w for _, w in self._headed_for), max(w for _, w in self._headed_for)
        is_within = lowest_w * (1 - TRUSTED_SHARE) - TRUSTED_W <= output_w <= highest_w * TOLERATED_SHARE + TRUSTED_W
        self.is_trusted |= is_within


class ExcessWatch:
    """Notices that a limit is not in force, though it was acknowledged."""

    def __init__(self) -> None:
        self.since_s = math.inf
        """When the first of the measurements that show it was made."""
        self._samples = 0
        self._forgot_at_s = -math.inf

    @property
    def is_on(self) -> bool:
        """Whether what is measured says that the last acknowledged limit does not rule."""
        return math.isfinite(self.since_s)

    @property
    def is_confirmed(self) -> bool:
        """Whether the last measurements in a row were all above the limit, enough of them to say so."""
        return self._samples >= EXCESS_SAMPLES

    def add_settled(self, output_w: float, limit_w: float | None, at_s: float) -> bool:
        """Take a settled measurement and the acknowledged limit; return whether an excess is over."""
        is_too_high = limit_w is not None and output_w > tolerated_w(limit_w)
        self._samples = self._samples + 1 if is_too_high else 0
        is_over = self.is_on and limit_w is not None and not is_too_high
        if is_over:
            self.since_s = math.inf
        if self.is_confirmed:
            self.since_s = min(self.since_s, at_s)
        return is_over

    def end(self) -> None:
        """Take a measurement of nothing: who gives nothing is below any limit, whichever rules."""
        self.since_s, self._samples = math.inf, 0

    def may_forget(self, now_s: float, posted_at_s: float) -> bool:
        """Tell whether the limit is to be taken for unknown now, so that it is sent again; note that it was."""
        if now_s - max(self._forgot_at_s, posted_at_s) < EXCESS_AGAIN_S:
            return False
        self._samples = 0
        self._forgot_at_s = now_s
        return True
