"""What the manual promises in docs/safety.md, row for row: what fails, what happens, after how long; and its proof.

A test compares the page with this. Where a time can be measured on virtual time, it is: not sooner, and not later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.faults.fault import FaultStage
from tests.plays.lie import SETTLE_S, Lie, LieStage, Promise

LOOK_S = 1.0
Seen = Callable[[FaultStage], bool]


@dataclass(frozen=True)
class Happens:
    """One thing that happens, and when: the page's second and third cell."""

    what: str
    after: str
    """As the page has it, with `{s}` or `{min}` for what is measured."""
    after_s: float = 0.0
    seen: Seen | None = None
    """Tells whether it has happened; None = other rows prove it."""
    early_s: float = 1.5
    """It may come so much sooner: readings are up to a poll old when a device falls silent."""
    late_s: float = 3.0
    """Or so much later: a look each second, and what the radio needs."""
    proved_by: tuple[str, ...] = ()
    """Names of other rows of the fault table."""

    @property
    def cells(self) -> tuple[str, str]:
        return self.what, self.after.format(s=f"{self.after_s:g}", min=f"{self.after_s / 60:g}")


@dataclass(frozen=True)
class TimedFault(Lie):
    """Looks each second at what has happened since it began."""

    row: tuple[Happens, ...] = ()
    counts_from: Seen = lambda _: True
    """From when on the page's times count."""

    def script(self, stage: LieStage) -> Iterator[float]:
        assert isinstance(stage, FaultStage)
        yield stage.now_s + SETTLE_S
        stage.choose_liar()
        self.begin(stage)
        ends_s, since_s = stage.now_s + self.lasts_s, None
        found_s: dict[Happens, float] = {}
        while stage.now_s < ends_s:
            if since_s is None and self.counts_from(stage):
                since_s = stage.now_s
            for happens in self.row:
                if since_s is not None and happens.seen is not None and happens.seen(stage):
                    found_s.setdefault(happens, stage.now_s - since_s)
            yield stage.now_s + LOOK_S
        stage.promises = [_promise(happens, found_s.get(happens)) for happens in self.row if happens.seen is not None]


class PageRow:
    """One thing that fails: the page's first cell, how it is played, and what happens then."""

    def __init__(self, what: str, timed: TimedFault | None, *happens: Happens) -> None:
        """Take the rows; without a play of their own others prove them."""
        self.what = what
        self.happens = happens
        self.timed = None if timed is None else replace(timed, row=happens)

    @property
    def cells(self) -> list[tuple[str, str, str]]:
        """Return the page's rows."""
        whats = [self.what, *[""] * (len(self.happens) - 1)]
        return [(what, *happens.cells) for what, happens in zip(whats, self.happens, strict=True)]


def _promise(happens: Happens, found_s: float | None) -> Promise:
    earliest_s, latest_s = happens.after_s - happens.early_s, happens.after_s + happens.late_s
    is_kept = found_s is not None and earliest_s <= found_s <= latest_s
    seen = "never" if found_s is None else f"after {found_s:.0f} s"
    return Promise(f"{happens.what} ({earliest_s:g} to {latest_s:g} s)", seen, is_kept)
