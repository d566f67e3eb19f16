"""The one door for every command: no DTU gets more than its budget, no inverter the same value twice in a minute."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from opendtu_dcload.control.commands.command_budget import Budget
from opendtu_dcload.control.commands.command_policy import (
    CAP_SLACK_W,
    SMALLEST_CHANGE_W,
    Command,
    DesiredState,
    Restart,
    SetLimit,
)
from opendtu_dcload.control.inverter.tracker import InverterTracker

SAME_VALUE_S = 60.0
"""Sent the same value over and over, inverters drop out (lumapu/ahoy#1313)."""


class Purse(Enum):
    """What pays for a command."""

    CHANGES = auto()
    REPEATS = auto()
    GUARDS = auto()


@dataclass(frozen=True, slots=True)
class _Told:
    """The last limit that an inverter was given."""

    at_s: float
    limit_w: float
    is_again: bool
    """It repeats the one before, because the inverter may have lost that."""


class Gate:
    """Lets commands pass, and remembers which ones did."""

    def __init__(self, budgets: Mapping[str, Budget]) -> None:
        """Take the budgets by the DTUs' names."""
        self._budgets = budgets
        self._purses: dict[Command, Purse] = {}
        self._told: dict[str, _Told] = {}

    def admitted(
        self,
        now_s: float,
        commands: Iterable[Command],
        desired: Mapping[str, DesiredState],
        trackers: Mapping[str, InverterTracker],
    ) -> list[Command]:
        """Return those of the wanted commands that may go out now."""
        self._purses = {}
        found = [
            (command, _purses(command, desired[command.serial], trackers[command.serial]))
            for command in commands
            if not self._is_same(now_s, command, trackers[command.serial])
        ]
        return self._paid(now_s, found, trackers)

    def admitted_again(
        self, now_s: float, commands: Iterable[Command], trackers: Mapping[str, InverterTracker]
    ) -> list[Command]:
        """Return those of the limits due for repetition that may go out now."""
        return self._paid(now_s, [(command, (Purse.REPEATS,)) for command in commands], trackers)

    def posted(self, now_s: float, command: Command, tracker: InverterTracker) -> None:
        """Note a command that is being sent; to be called before its tracker is told."""
        budget = self._budgets[tracker.unit.dtu]
        _pay(budget, now_s, self._purses.get(command, Purse.CHANGES))
        if isinstance(command, SetLimit):
            is_again = self._is_told(now_s, command, tracker)
            self._told[command.serial] = _Told(now_s, command.limit_w, is_again)

    def failed(self, command: Command) -> None:
        """Note that nobody knows whether a command arrived: it may be given again at once."""
        if isinstance(command, SetLimit):
            self._told.pop(command.serial, None)

    def _paid(
        self, now_s: float, commands: Iterable[tuple[Command, Sequence[Purse]]], trackers: Mapping[str, InverterTracker]
    ) -> list[Command]:
        left: dict[str, Budget] = {}
        paid: list[Command] = []
        for command, purses in commands:
            dtu = trackers[command.serial].unit.dtu
            budget = left.setdefault(dtu, copy.deepcopy(self._budgets[dtu]))
            purse = next((purse for purse in purses if _has_room(budget, now_s, purse)), None)
            if purse is not None:
                _pay(budget, now_s, purse)
                self._purses[command] = purse
                paid.append(command)
        return paid

    def _is_told(self, now_s: float, command: SetLimit, tracker: InverterTracker) -> bool:
        told = self._told.get(command.serial)
        if told is None or now_s - told.at_s >= SAME_VALUE_S:
            return False
        # A limit that was sent and does not rule is not to be sent again with a few watts more or less.
        within_w = CAP_SLACK_W if tracker.wanted_w == told.limit_w else SMALLEST_CHANGE_W
        return abs(command.limit_w - told.limit_w) < within_w

    def _is_same(self, now_s: float, command: Command, tracker: InverterTracker) -> bool:
        if not isinstance(command, SetLimit) or not self._is_told(now_s, command, tracker):
            return False
        is_lost = tracker.limits.posted_at_s == -math.inf
        return self._told[command.serial].is_again or not is_lost


def _purses(command: Command, wish: DesiredState, tracker: InverterTracker) -> Sequence[Purse]:
    """Return what may pay for a command, in this order."""
    if not isinstance(command, SetLimit):
        return (Purse.CHANGES,) if isinstance(command, Restart) or command.on else (Purse.CHANGES, Purse.GUARDS)
    is_guards = (wish.is_urgent or wish.must_fit) and command.limit_w <= tracker.highest_w
    return (Purse.CHANGES, Purse.GUARDS) if is_guards else (Purse.CHANGES,)


def _has_room(budget: Budget, now_s: float, purse: Purse) -> bool:
    may = {Purse.CHANGES: budget.may_change, Purse.REPEATS: budget.may_repeat, Purse.GUARDS: budget.may_guard}
    return may[purse](now_s)


def _pay(budget: Budget, now_s: float, purse: Purse) -> None:
    pay = {Purse.CHANGES: budget.spend, Purse.REPEATS: budget.repeat, Purse.GUARDS: budget.guard}
    pay[purse](now_s)
