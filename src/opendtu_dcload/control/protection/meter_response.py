"""Does the meter move against our own steps? If not, it is the wrong meter, the wrong phase, or turned round.

A suspicion takes the plant to its minimum; that fall is judged too, as a whole, so a load that happened to hide or to
mirror our steps costs some seconds, while a meter that really is blind or reversed keeps the plant down. A plant that
rests at its ceiling makes no steps, and just there a blind or reversed meter drives it: then a small fall asks.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from opendtu_dcload.model import Reason

JUDGED_STEP_W = 150.0
"""Own steps below this do not prove anything about the meter."""
ANSWER_SHARE = 0.3
"""The meter must move by this share of our step."""
MISSES = 3
"""So many misses in a row are a suspicion; a movement the same way counts as two, since one may be the house's."""
PROVEN_S = 3600.0
"""How long an answer near the ceiling proves the meter right; it may have been a load that changed with our step."""
EXPORT_W = 5.0
"""A power below the negative of this shows that the meter tells export from import; one that shows magnitudes never
does. It counts for as long as an answer near the ceiling."""
RESTLESS_SHARE = 0.5
"""Nothing can be told when the meter swung by this share of our step beyond where it began and ended: an estimate."""
IMPLAUSIBLE_SHARE = 1.8
"""Nothing can be told from a change that is larger than our step by this factor: an estimate."""
REVERSED_SHARE = 0.6
"""A meter that moved the same way by this share of our step is turned round, for then it shows all of it; less may be
the house. An estimate."""
HIDING_SHARE, MIRRORING_SHARE = 0.7, 1.2
"""A load that hides our step jumps by this share of it, one that mirrors it by more; an answer has a ramp."""
JUMP_READINGS = 2
"""The mean of a second shows a jump of the load in two readings."""
HIDDEN_SHARE, MOVES_W = 0.5, 5.0
"""Nothing is a miss if the meter went against our step by this share while our output moved by so many W: then a ramp
of the load hides the rest."""
JUDGED_WITHIN_S = 60.0
"""The load of a house changes too much in a longer time to judge anything."""
MOVING_W = 50.0
"""While so much of our steps may be visible or not, the next verdict begins where this one ended."""
RETRY_FIRST_S, RETRY_LAST_S = 60.0, 600.0
"""How long a suspicion holds until the plant tries again whether the meter answers: at first, and at most after the
wait has doubled with each retry. Estimates."""
PROBE_AFTER_S, PROBE_SOON_S = 120.0, 20.0
"""How long a plant must have rested at a ceiling at which the meter has not answered yet until it is asked by a small
fall; the shorter time holds after a miss. Estimates."""
PROBE_W = 200.0
"""The fall that asks the meter: enough to be judged, with room for what the load does."""
CALM_S, CALM_W = 10.0, 40.0
"""The house is calm enough to ask when the meter's movements up and down add up to no more than this in that time."""


class MeterAnswer(Enum):
    """What the meter did after own steps."""

    SEEN = "seen"
    MISSED = "missed"
    REVERSED = "reversed"


@dataclass(slots=True)
class _Anchor:
    """Where own steps are judged from."""

    at_s: float
    grid_w: float
    low_w: float
    """Lowest output that the reading may have contained."""
    high_w: float
    """Highest output that the reading may have contained."""
    is_trusted: bool = True
    """The model of the output is known to be right, and no load is foretold; otherwise only a good answer counts."""
    drifted_w: float = 0.0
    """By how much the load had drifted by then."""
    lowest_w: float = math.inf
    """Lowest reading since."""
    highest_w: float = -math.inf
    """Highest reading since."""
    jump_w: float = 0.0
    """Largest change within two readings since."""
    moved_w: float = 0.0
    """How far the meter has moved since, counting only readings in which our output may have moved too."""
    foreign_w: float = 0.0
    """Largest change of a reading since beyond what our output can have changed between it and the one before."""

    def is_before(self, visible_w: tuple[float, float]) -> bool:
        """Tell whether nothing of a step can be visible yet: what the meter shows is the house alone."""
        return _distance_w(visible_w, (self.low_w, self.high_w)) < 1

    def swing_w(self, grid_w: float) -> float:
        """Return how far the meter went beyond where it began and where it is now."""
        lowest_w, highest_w = min(self.lowest_w, self.grid_w, grid_w), max(self.highest_w, self.grid_w, grid_w)
        return highest_w - lowest_w - abs(grid_w - self.grid_w)

    def certain_w(self, visible_w: tuple[float, float]) -> float:
        """Return the least change of output that must have become visible since, 0 when there may be none."""
        low_w, high_w = visible_w
        if low_w > self.high_w:
            return low_w - self.high_w
        return min(high_w - self.low_w, 0.0)

    def follow(
        self, grid_w: float, before_w: list[float], visible_w: tuple[float, float], shown_w: tuple[float, float]
    ) -> None:
        """Take a reading: those before it, what of the output it may contain, and what the last one may have."""
        self.lowest_w, self.highest_w = min(self.lowest_w, grid_w), max(self.highest_w, grid_w)
        if before_w:
            change_w = grid_w - before_w[-1]
            if visible_w[1] - visible_w[0] > MOVES_W or _distance_w(visible_w, shown_w) > MOVES_W:
                self.moved_w += change_w
            reach_w = max(visible_w[1] - shown_w[0], shown_w[1] - visible_w[0])
            self.foreign_w = max(self.foreign_w, abs(change_w) - reach_w)
        self.jump_w = max(self.jump_w, *(abs(grid_w - w) for w in before_w[-JUMP_READINGS:]), 0.0)

    def judge(self, grid_w: float, visible_w: tuple[float, float], drifted_w: float) -> MeterAnswer | None:
        """Return what the meter did, None when the house moved too much to tell.

        A plant that follows a drift of the load holds the meter still: that is no miss. But no drift makes an answer.
        """
        certain_w = self.certain_w(visible_w)
        possible_w = visible_w[1] - self.low_w if certain_w > 0 else visible_w[0] - self.high_w
        change_w = grid_w - self.grid_w
        if self.swing_w(grid_w) > RESTLESS_SHARE * abs(certain_w):
            return None
        if abs(change_w) > IMPLAUSIBLE_SHARE * abs(possible_w):
            return None
        answered = -change_w / certain_w
        if answered >= ANSWER_SHARE:
            return MeterAnswer.SEEN
        is_reversed = answered <= -REVERSED_SHARE
        if not is_reversed and answered + (drifted_w - self.drifted_w) / certain_w >= ANSWER_SHARE:
            return None
        if -self.moved_w / certain_w >= HIDDEN_SHARE or self.foreign_w > RESTLESS_SHARE * abs(certain_w):
            return None
        if self.jump_w > (MIRRORING_SHARE if is_reversed else HIDING_SHARE) * abs(possible_w):
            return None
        return MeterAnswer.REVERSED if is_reversed else MeterAnswer.MISSED


class ResponseGuard:
    """Judges own steps, and says when the meter should be asked by one."""

    def __init__(self) -> None:
        self.suspicion: Reason | None = None
        self._has_moved = True
        """False: the power stood still through steps of ours and has not changed since."""
        self._is_trial = False
        """The plant regulates on trial after a confirmed suspicion: one miss is enough."""
        self.is_confirmed = False
        """The meter did not answer the fall to the minimum either that its suspicion brought."""
        self._misses = 0
        self._since_s = 0.0
        self._retry_s = RETRY_FIRST_S
        self._anchor: _Anchor | None = None
        self._visible_w = (0.0, 0.0)
        self._drifted_w = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._stepped_at_s = math.inf
        self.is_probing = False
        """The plant waits for the answer to a fall that only asks: it must not rise meanwhile."""
        self._proven_w = 0.0
        self._proven_grid_w = 0.0
        self._proven_at_s = self._exported_at_s = -math.inf
        self.doubt: Reason | None = None
        """The last suspicion, until an answer of the meter disproves it; that the plant tries again does not."""

    def stepped(self, *, is_trusted: bool = True) -> None:
        """Note that a limit was sent after the last reading; `is_trusted`: a movement the wrong way tells something."""
        if not self._recent:
            return
        at_s, grid_w = self._recent[-1]
        self._stepped_at_s = at_s
        if self._anchor is None or self._anchor.swing_w(grid_w) > RESTLESS_SHARE * JUDGED_STEP_W:
            self._anchor = _Anchor(at_s, grid_w, *self._visible_w, is_trusted, self._drifted_w)
        else:
            self._anchor.is_trusted &= is_trusted

    def add_reading(
        self,
        at_s: float,
        grid_w: float,
        visible_w: tuple[float, float],
        committed_w: float,
        drifted_w: float = 0.0,
    ) -> MeterAnswer | None:
        """Take a reading; return a verdict when one is due.

        Args:
            at_s: monotonic time of the reading.
            grid_w: grid power, import positive.
            visible_w: lowest and highest output that the reading may contain.
            committed_w: output when everything commanded has arrived.
            drifted_w: by how much the load has drifted so far, up and down added.
        """
        self._drifted_w = drifted_w
        if self._anchor is not None:
            self._anchor.follow(grid_w, [w for _, w in self._recent], visible_w, self._visible_w)
        if not self._recent:
            self._stepped_at_s = at_s
        self._recent.append((at_s, grid_w))
        while len(self._recent) > 1 and self._recent[1][0] <= at_s - CALM_S:
            self._recent.popleft()
        self._visible_w = visible_w
        if self._anchor is not None and self._anchor.is_before(visible_w):
            self._anchor = _Anchor(at_s, grid_w, *visible_w, self._anchor.is_trusted, drifted_w)
        waited_s = at_s - self._stepped_at_s
        is_there = _distance_w(visible_w, (committed_w, committed_w)) <= MOVING_W and visible_w[1] - visible_w[0] <= 1
        if (is_there and waited_s > 1) or waited_s > JUDGED_WITHIN_S:
            self.is_probing = False
        if grid_w < -EXPORT_W:
            self._exported_at_s = at_s
        self._has_moved |= len(self._recent) > 1 and grid_w != self._recent[-2][1]
        if self.suspicion and self._has_moved and at_s - self._since_s >= self._retry_s:
            self._try_again(is_trial=self.is_confirmed or self._seems_unsigned(at_s))
        if self._anchor is None or at_s - self._anchor.at_s > JUDGED_WITHIN_S:
            self._anchor = None
            return None
        if abs(self._anchor.certain_w(visible_w)) < JUDGED_STEP_W:
            return None
        answer = self._anchor.judge(grid_w, visible_w, drifted_w)
        if self.suspicion and answer is not MeterAnswer.SEEN and not is_there:
            return None  # the whole fall tells more than its beginning
        still_moves = abs(visible_w[1] - visible_w[0]) > MOVING_W
        is_trusted = self._anchor.is_trusted
        self._anchor = _Anchor(at_s, grid_w, *visible_w, is_trusted, drifted_w) if still_moves else None
        self.is_probing = False
        if answer is not None and (is_trusted or answer is MeterAnswer.SEEN):
            self._take(answer, at_s, committed_w)
        return answer

    def probe_due(self, committed_w: float, ceiling_w: float) -> bool:
        """Tell whether to ask, in a calm house: a plant has rested long at a ceiling that the meter never answered.

        A meter that was suspected and has not answered since is asked wherever the plant rests.
        """
        is_doubted = self.doubt is not None and self._proven_at_s < self._since_s
        if not self._recent or self.suspicion or (committed_w < ceiling_w - 1 and not is_doubted):
            return False
        at_s, grid_w = self._recent[-1]
        is_near = abs(committed_w - self._proven_w) < JUDGED_STEP_W and at_s - self._proven_at_s < PROVEN_S
        is_proven = is_near and not is_doubted
        may_be_mirrored = self._may_be_unsigned(at_s) and grid_w - self._proven_grid_w > JUDGED_STEP_W
        if (is_proven and not may_be_mirrored) or at_s - self._recent[0][0] < CALM_S:
            return False
        rested_s = PROBE_SOON_S if self._misses or may_be_mirrored or is_doubted else PROBE_AFTER_S
        is_settled = self._visible_w[1] - self._visible_w[0] <= 1
        moved_w = sum(abs(after - before) for (_, before), (_, after) in pairwise(self._recent))
        return is_settled and at_s - self._stepped_at_s >= rested_s and moved_w <= CALM_W

    def blind(self, at_s: float) -> None:
        """Note that the power has stayed the same to the bit through steps that the inverters' own data show."""
        self._suspect(Reason.METER_BLIND, at_s)
        self.is_confirmed = True
        self._has_moved = False

    def corrected(self) -> None:
        """Note that the model of the output was corrected: what it shows since is no step of ours."""
        self._anchor = None

    def reset(self) -> None:
        """Forget a step that can no longer be judged (the meter was silent)."""
        self._anchor = None
        self._recent.clear()

    def _may_be_unsigned(self, at_s: float) -> bool:
        """Tell whether the meter may show magnitudes, which are right as long as nothing flows into the grid."""
        return at_s - self._exported_at_s >= PROVEN_S

    def _seems_unsigned(self, at_s: float) -> bool:
        """Tell whether it moved the wrong way, and a right answer proves nothing: only export that it shows does."""
        return self.doubt is Reason.METER_REVERSED and self._may_be_unsigned(at_s)

    def _take(self, answer: MeterAnswer, at_s: float, committed_w: float) -> None:
        if answer is MeterAnswer.SEEN:
            self._proven_w, self._proven_grid_w, self._proven_at_s = committed_w, self._recent[-1][1], at_s
            if self._seems_unsigned(at_s):
                return
            self._clear()
            self._retry_s = RETRY_FIRST_S
            self.doubt = None
            return
        is_reversed = answer is MeterAnswer.REVERSED
        self._misses += 2 if is_reversed else 1
        if self.suspicion:
            self.is_confirmed = True
        elif self._is_trial and self.doubt is not None:
            self._suspect(self.doubt, at_s)
        elif self._misses >= MISSES:
            self._suspect(Reason.METER_REVERSED if is_reversed else Reason.METER_BLIND, at_s)

    def _suspect(self, reason: Reason, at_s: float) -> None:
        self.suspicion = self.doubt = Reason.METER_REVERSED if self._seems_unsigned(at_s) else reason
        self._since_s = at_s

    def _try_again(self, *, is_trial: bool) -> None:
        """Let the plant regulate again, on trial where the fall to the minimum proved nothing good either."""
        self._retry_s = min(2 * self._retry_s, RETRY_LAST_S) if is_trial else RETRY_FIRST_S
        self._clear()
        self._is_trial = is_trial

    def _clear(self) -> None:
        self.suspicion = None
        self.is_confirmed = False
        self._is_trial = False
        self._misses = 0
        self._anchor = None


def _distance_w(one_w: tuple[float, float], other_w: tuple[float, float]) -> float:
    return max(abs(one_w[0] - other_w[0]), abs(one_w[1] - other_w[1]))
