"""From a meter reading to the output the plant should give.

What is commanded and not yet visible is taken out of the reading first (a Smith predictor: the caller gives the lowest
and the highest output that the meter may have seen). What remains is the load. The forecast tells which output will fit
the load best while a command sent now rules, and a change is made when what it saves is worth its commands.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from opendtu_dcload.control.regulation.drift import Drift
from opendtu_dcload.control.regulation.forecast import Forecast, Gains
from opendtu_dcload.model import Priority

EXPORT_WEIGHT = {Priority.NO_EXPORT: 6.0, Priority.BALANCED: 2.0, Priority.NO_IMPORT: 0.5}
"""What a Wh exported costs, in Wh imported: exported it is lost, imported it stays in the battery for later. The usual
2 is the score of the bench (2 x export + avoidable import), the others are estimates."""
EXPECTED_S = 5.0
"""For how long a change is trusted to save what the forecast says: an estimate."""
TRIMMED_W, TRIM_S, LASTS_S = 100.0, 15.0, 60.0
"""Errors below this many W are also judged by what they have cost in these times: estimates. A small one that lasts for
the shorter is corrected for less than the price of a command, one that lasts for the longer for all of it."""
NEXT_WINDOW_S = 2.0
"""A further command waits for the radio, which a limit keeps this long."""
UNKNOWN_LAG_S = 3.0
"""The lag that is assumed of a plant that cannot be moved now: an estimate."""
SHORTEST_S, LONGEST_S = 5.0, 12.0
"""While the load drifts by s W/s a command rules for about sqrt(price / s), for then it has cost its price; between
these: the shortest is what the policy leaves between two rises, the longest an estimate."""
FORETOLD_S = 20.0
"""No drift is foretold for longer, however late an inverter acts: an estimate, as long as a cloud's edge."""
SMALLEST_W = 3.0
"""A smaller change is none: the command policy would not send it (`SMALLEST_CHANGE_W`)."""
LATEST = 6
"""How many readings tell where within a layer the load is: an estimate."""
AHEAD_W = 50.0
"""So far beyond the load seen a set-point is for one that is foretold: an estimate, more than noise and drift are."""
WORTH_SAYING_W = 30.0
"""Of a smaller difference that is left alone nothing is said: lamps come and go."""


class Wait(StrEnum):
    """Why a difference is left alone."""

    NO = ""
    SHORT_LOAD = "waits: the load may be short"
    SHORT_DIP = "waits: the dip may be short"
    PRICE = "saves commands"


@dataclass(frozen=True, slots=True)
class Move:
    """What one command can do."""

    power_w: float
    """Largest change of output."""
    lag_s: float
    """From now until half of it has happened."""
    price_ws: float
    """Waste that the command must save, in W x s."""


@dataclass(frozen=True, slots=True)
class AvailableMoves:
    """The commands that can be given now, in the order in which they would be used."""

    rises: Sequence[Move]
    falls: Sequence[Move]
    trim_ws: float
    """Price of correcting a small error."""


class Regulator:
    """Sees one reading after the other and says what the plant should give."""

    def __init__(self, priority: Priority = Priority.BALANCED) -> None:
        self._export_weight = EXPORT_WEIGHT[priority]
        self._forecast = Forecast()
        self._drift = Drift()
        self._latest: deque[tuple[float, float]] = deque(maxlen=LATEST)
        self._recent: deque[tuple[float, float, float]] = deque()
        self._missed_ws = 0.0
        """What was lost lately by not going where the forecast says; negative while it says to go down."""
        self._last_s = -math.inf
        self._wanted_w = 0.0
        self.wait = Wait.NO
        """Why the last reading led to no command."""
        self.is_ahead = False
        """The last set-point goes beyond the load that was seen: it is for one that is foretold."""

    @property
    def drifted_w(self) -> float:
        """By how much the load has drifted so far, in W."""
        return self._drift.drifted_w

    def update(
        self,
        at_s: float,
        load_w: tuple[float, float],
        committed_w: float,
        limits_w: tuple[float, float],
        means: AvailableMoves,
    ) -> float | None:
        """Return what the plant should give from now on, in W; None = what is already commanded is right.

        Args:
            at_s: monotonic time of the reading.
            load_w: what the inverters would have to give for the target: the least and the most that is possible.
            committed_w: output when everything commanded has arrived.
            limits_w: lowest and highest output that may be asked for.
            means: what can be commanded.
        """
        dt_s = min(max(at_s - self._last_s, 0.0), 5.0)
        self._last_s = at_s
        self._drift.add_load(at_s, *load_w)
        drift_w = self._drift_w(means)
        within_w = limits_w[0] - drift_w, limits_w[1] - drift_w
        self._see(at_s, load_w, within_w[1])
        setpoint_w = self._set_point(dt_s, load_w[0], committed_w - drift_w, within_w, means)
        setpoint_w = _clamp(setpoint_w + drift_w, limits_w)
        if abs(setpoint_w - committed_w) < SMALLEST_W:
            self.wait = self._why_not(load_w, committed_w, self._wanted_w + drift_w, limits_w, means)
            return None
        self.reset()
        seen_w = min(committed_w, load_w[0]), max(committed_w, load_w[1])
        self.is_ahead = abs(setpoint_w - _clamp(setpoint_w, seen_w)) > AHEAD_W
        return setpoint_w

    def reset(self) -> None:
        """Forget what led to the next decision: the plant was told otherwise."""
        self.wait = Wait.NO
        self.is_ahead = False
        self._missed_ws = 0.0
        self._recent.clear()

    def forget(self) -> None:
        """Forget the load too: it was not seen for a while."""
        self.reset()
        self._latest.clear()
        self._forecast.reset()
        self._drift.reset()

    def _set_point(
        self,
        dt_s: float,
        load_w: float,
        committed_w: float,
        limits_w: tuple[float, float],
        means: AvailableMoves,
    ) -> float:
        """Return what the plant should give if the load did not drift, in W; so it is with all powers given."""
        gains = self._forecast.gains(self._last_s, _lag_of(committed_w, means), self._export_weight)
        wanted_w = _clamp(self._within(gains.best_w(), load_w, committed_w), limits_w)
        self._wanted_w, change_w = wanted_w, wanted_w - committed_w
        if abs(change_w) < 1 or (change_w > 0) != (self._missed_ws > 0):
            self._missed_ws = 0.0
        setpoint_w = self._worth_it(gains, committed_w, wanted_w, means.rises if change_w > 0 else means.falls)
        self._missed_ws += math.copysign(max(0.0, gains.saved_w(committed_w, wanted_w)) * dt_s, change_w)
        if abs(setpoint_w - committed_w) < SMALLEST_W:
            setpoint_w = self._trimmed(committed_w, limits_w, means)
        return setpoint_w

    def _why_not(
        self,
        load_w: tuple[float, float],
        committed_w: float,
        wanted_w: float,
        limits_w: tuple[float, float],
        means: AvailableMoves,
    ) -> Wait:
        """Return why the plant stays at `committed_w` though the load is elsewhere and a command could be given."""
        missing_w = _clamp(_clamp(committed_w, load_w), limits_w) - committed_w
        if abs(missing_w) < WORTH_SAYING_W or not (means.rises if missing_w > 0 else means.falls):
            return Wait.NO
        if abs(wanted_w - committed_w) >= SMALLEST_W and (wanted_w > committed_w) == (missing_w > 0):
            return Wait.PRICE
        return Wait.SHORT_LOAD if missing_w > 0 else Wait.SHORT_DIP

    def _see(self, at_s: float, load_w: tuple[float, float], top_w: float) -> None:
        low_w, high_w = load_w
        self._forecast.add_load(at_s, low_w, high_w, top_w)
        if high_w - low_w < TRIMMED_W / 10:
            self._latest.append((at_s, (low_w + high_w) / 2))
        self._recent.append((at_s, low_w, high_w))
        while self._recent[0][0] < at_s - LASTS_S:
            self._recent.popleft()

    def _drift_w(self, means: AvailableMoves) -> float:
        """Return by how many W the load will have drifted while a command sent now rules."""
        slope_w = self._drift.slope_w
        moves = means.rises if slope_w > 0 else means.falls
        if not slope_w or not moves:
            return 0.0
        rules_s = min(max(math.sqrt(moves[0].price_ws / abs(slope_w)), SHORTEST_S), LONGEST_S)
        below = 1 / (1 + self._export_weight)
        ahead_s = moves[0].lag_s + rules_s * (below if slope_w > 0 else 1 - below)
        return slope_w * min(ahead_s, FORETOLD_S)

    def _now_w(self, at_s: float, load_w: float) -> float:
        """Return what a reading of then would be now."""
        return load_w + self._drift.slope_w * (self._last_s - at_s)

    def _within(self, layer_w: tuple[float, float], load_w: float, committed_w: float) -> float:
        """Return the output in a layer, or next to it, that fits the latest readings best."""
        bottom_w, top_w = layer_w
        width_w = top_w - bottom_w
        known_w = [self._now_w(at_s, w) for at_s, w in self._latest if self._last_s - at_s < TRIM_S]
        if near_w := sorted(w for w in known_w if bottom_w - width_w < w < top_w + width_w):
            return self._quantile(near_w)
        return top_w if load_w > top_w else _clamp(committed_w, layer_w)

    def _quantile(self, sorted_w: Sequence[float]) -> float:
        """Return the output that would have cost least: what lies above it is imported, what lies below exported."""
        return sorted_w[int(len(sorted_w) / (1 + self._export_weight))]

    def _worth_it(self, gains: Gains, from_w: float, wanted_w: float, moves: Sequence[Move]) -> float:
        """Return how far towards `wanted_w` commands are worth their price."""
        best_w, best_ws = from_w, 0.0
        profit_ws = abs(self._missed_ws)
        sign = 1 if wanted_w > from_w else -1
        at_w = from_w
        for move in moves:
            to_w = at_w + sign * min(move.power_w, abs(wanted_w - at_w))
            if to_w == at_w:
                break
            profit_ws += gains.saved_w(at_w, to_w) * EXPECTED_S - move.price_ws
            at_w = to_w
            if profit_ws > best_ws:
                best_w, best_ws = at_w, profit_ws
        return best_w

    def _trimmed(self, committed_w: float, limits_w: tuple[float, float], means: AvailableMoves) -> float:
        """Return the set-point that would have been best lately, if the present one has cost enough more."""
        lately = [seen for seen in self._recent if seen[0] >= self._last_s - TRIM_S]
        if (better_w := self._best_of(lately, committed_w, limits_w, means, means.trim_ws)) != committed_w:
            return better_w
        return self._best_of(self._recent, committed_w, limits_w, means, math.inf)

    def _best_of(
        self,
        seen: Collection[tuple[float, float, float]],
        committed_w: float,
        limits_w: tuple[float, float],
        means: AvailableMoves,
        price_ws: float,
    ) -> float:
        """Return the set-point that would have been best for loads seen, if it had saved `price_ws` or a command's."""
        slope_w, now_s = self._drift.slope_w, self._last_s
        seen_w, moves = sorted([low_w + slope_w * (now_s - at_s) for at_s, low_w, _ in seen]), means.rises
        if (better_w := self._quantile(seen_w)) <= committed_w:
            seen_w, moves = sorted([high_w + slope_w * (now_s - at_s) for at_s, _, high_w in seen]), means.falls
            if (better_w := self._quantile(seen_w)) >= committed_w:
                return committed_w
        if not moves or math.isinf(moves[0].price_ws) or abs(better_w - committed_w) > TRIMMED_W:
            return committed_w
        better_w = _clamp(better_w, limits_w)
        saved_w = sum(self._cost(w - committed_w) - self._cost(w - better_w) for w in seen_w) / len(seen_w)
        return better_w if saved_w * (self._last_s - min(seen)[0]) >= min(price_ws, moves[0].price_ws) else committed_w

    def _cost(self, import_w: float) -> float:
        return import_w if import_w > 0 else -self._export_weight * import_w


def _clamp(power_w: float, limits_w: tuple[float, float]) -> float:
    return min(max(power_w, limits_w[0]), limits_w[1])


def _lag_of(committed_w: float, means: AvailableMoves) -> Callable[[float], float]:
    """Return the function that tells when a command sent now would bring the plant to an output in W."""
    rises, falls = _steps(means.rises), _steps(means.falls)

    def lag_s(output_w: float) -> float:
        reaches_w, lags_s = rises if output_w > committed_w else falls
        return lags_s[bisect_right(reaches_w, abs(output_w - committed_w))]

    return lag_s


def _steps(moves: Sequence[Move]) -> tuple[list[float], list[float]]:
    """Return how far the first commands can move the plant, and when it is there; one time more for what is farther."""
    lags_s = [move.lag_s for move in moves] or [UNKNOWN_LAG_S]
    return list(accumulate(move.power_w for move in moves)) or [0.0], [*lags_s, lags_s[-1] + NEXT_WINDOW_S]
