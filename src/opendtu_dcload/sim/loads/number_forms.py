"""Numbers as people and programs write them: comma and point, before decimals or between thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_GROUPED = re.compile(r"[-+]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?")
_EITHER = re.compile(r"[-+]?[1-9]\d?[.,]\d{3}")
"""May be thousands or decimals: with more digits before the sign no house has that many W, with 0 it is no thousand."""
_UNGROUPED = re.compile(r"[-+]?\d{4,}")
_FRACTION = re.compile(r"[-+]?\d+([.,])(\d{1,2}|\d{4,})")
LONGEST_NUMBER = 40
_OTHER = {".": ",", ",": "."}


def number_of(cell: str, decimal: str = ".") -> float | None:
    """Return the number in a cell; None when it is none."""
    text = _without_unit(cell)
    if len(text) > LONGEST_NUMBER:
        return None
    if _GROUPED.fullmatch(text) and (decimal == "," or "," in text or "'" in text or " " in text):
        whole, mark, rest = text.rpartition(decimal)
        whole, rest = (whole, rest) if mark else (text, "")
        text = re.sub(r"[.,' ]", "", whole) + (f".{rest}" if rest else "")
    elif decimal == ",":
        text = text.replace(",", ".")
    return float(text) if _PLAIN.fullmatch(text) else None


def decimal_sign(cells: Iterable[str]) -> str:
    """Return the sign before the decimals in a column, by the first cell that tells; else the one that occurs."""
    found = "."
    for cell in map(_without_unit, cells):
        if ("." in cell or "," in cell) and not _EITHER.fullmatch(cell):
            if "," in cell and "." in cell:
                return max(".,", key=cell.rfind)
            sign = "," if "," in cell else "."
            return sign if cell.count(sign) == 1 else _OTHER[sign]
        found = "," if "," in cell else found
    return found


def decimal_sign_of_powers(cells: Sequence[str], in_file: str | None, *, is_kilo: bool) -> str | None:
    """Return the sign before the decimals in a column of powers; None when it may be both.

    Args:
        cells: of the column.
        in_file: the sign that the rest of the file tells of, as `sign_told` does.
        is_kilo: they are kW, of which no house has thousands.
    """
    texts = [_without_unit(cell) for cell in cells]
    signed = [text for text in texts if "." in text or "," in text]
    if is_kilo or not signed or not all(map(_EITHER.fullmatch, signed)):
        return decimal_sign(cells)
    signs = {sign for text in signed for sign in ".," if sign in text}
    if len(signs) > 1:
        return None
    (sign,) = signs
    if any(map(_UNGROUPED.fullmatch, texts)):
        return sign
    if len(signed) < len(texts) and any(text.endswith("0") for text in signed):
        return _OTHER[sign]  # whoever writes no decimals, or no zeros behind them, would not write these
    return in_file


def sign_told(cells: Iterable[str]) -> str | None:
    """Return the sign before decimals where the cells of a file tell it, and all of them the same."""
    signs = {match[1] for cell in cells if (match := _FRACTION.fullmatch(cell))}
    return signs.pop() if len(signs) == 1 else None


def _without_unit(cell: str) -> str:
    return cell.strip().removesuffix("kW").removesuffix("W").strip()
