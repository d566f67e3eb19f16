"""What the result is in numbers and sentences, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opendtu_dcload.sim.runs.simulate import Result
from opendtu_dcload.sim.whatif.dead_hour import DeadHour
from opendtu_dcload.sim.whatif.played_variant import Outcome
from opendtu_dcload.terminal.plain_text import columns

WASTE = (
    "Waste is twice what the inverters exported, which is lost for good, plus what was imported although an inverter "
    "had room, which is only postponed."
)
J0 = (
    "J0 is the waste of an ideal plant that always gives what the house took a few seconds ago, about as well as such "
    "inverters can: 1.00 is as good as that."
)
ONE_THING = "Each other row is your settings with this one thing changed, played on the same load."


@dataclass(frozen=True, slots=True)
class Figures:
    """The table."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    """The first cell of each is its name."""

    def lines(self) -> list[str]:
        """Return it as rows of a terminal."""
        table = [self.heads, *self.rows]
        widths = [max(columns(row[place]) for row in table) for place in range(len(self.heads))]
        return ["  ".join(_aligned(row, widths)).rstrip() for row in table]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    name, *numbers = (
        " " * (width - columns(cell)) if place else cell + " " * (width - columns(cell))
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return [name, *(space + cell for space, cell in zip(numbers, row[1:], strict=True))]


def figures_of(outcomes: Sequence[Outcome], price: float | None) -> Figures:
    """Return the table of what was played; money only with a price for a kWh."""
    heads = ["settings", "exported kWh", "imported with room kWh", "waste / J0", "commands / h"]
    rows = [[outcome.name, *_cells(outcome.result)] for outcome in outcomes]
    if price is not None:
        heads.append("cost")
        for row, outcome in zip(rows, outcomes, strict=True):
            row.append(f"{cost_of(outcome.result, price):.2f}")
    return Figures(heads, rows)


def cost_of(result: Result, price: float) -> float:
    """Return what exported and needlessly imported energy costs at a price for a kWh."""
    return (result.exported_wh + result.avoidable_wh) / 1000 * price


def flows(result: Result) -> list[str]:
    """Say what flowed with the user's own settings."""
    took = f"The house took {result.load_wh / 1000:.2f} kWh in {result.hours:.1f} h"
    gave = f"the inverters gave {result.output_wh / 1000:.2f} kWh, {result.imported_wh / 1000:.2f} kWh were imported"
    told = [f"{took}; with your settings {gave}."]
    if result.surplus_wh >= 10:
        told.append(f"The house's own panels exported {result.surplus_wh / 1000:.2f} kWh that no setting can keep.")
    return told


def explanations(outcomes: Sequence[Outcome], price: float | None) -> list[str]:
    """Say what the rows and columns mean."""
    cost = "Cost is exported and imported with room, both at your price for a kWh, in this time."
    return [*([ONE_THING] if len(outcomes) > 1 else []), WASTE, J0, *([cost] if price is not None else [])]


def relay_told(dead: DeadHour, clock_s: float) -> str:
    """Say what a relay is worth."""
    at_s = int(clock_s + dead.dies_at_s)
    when = f"at {at_s // 3600 % 24:02}:{at_s // 60 % 60:02}, the worst moment of this load"
    without = f"the inverters would keep their last limit and export {dead.without_relay_wh / 1000:.3f} kWh in an hour"
    behind = f"behind a relay ([relay]), which drops them after 5 minutes, {dead.with_relay_wh / 1000:.3f} kWh"
    return f"If the program or its computer died {when}, {without}; {behind}."


def _cells(result: Result) -> list[str]:
    ratio = f"{result.ratio:.2f}" if result.ideal_wh else "-"
    return [
        f"{result.exported_wh / 1000:.3f}",
        f"{result.avoidable_wh / 1000:.3f}",
        ratio,
        f"{result.commands_per_h:.0f}",
    ]
