"""The manual's page of reasons and alarms as a page of the service's own: it is there at night, without the internet.

`python -m tests.web.browser.reasons_page` writes it anew; a test says when it is no longer what the manual says.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import opendtu_dcload.web
from opendtu_dcload.control.bookkeeping.alarms import RULES
from opendtu_dcload.model import Reason

MANUAL = Path(__file__).parents[3] / "docs" / "reasons-and-alarms.md"
PAGE = Path(opendtu_dcload.web.__file__).parent / "page" / "reasons.html"
RAISED, TO_DO = "<b>Raised:</b> ", "<b>What to do:</b> "
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Reasons and alarms</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="page.css">
</head>
<body class="manual">
<header><p><a href="./">opendtu-dcload</a></p></header>
<main>
<h1>Reasons and alarms</h1>
<p>Throughout, <b>minimum</b> is the lowest limit of each inverter, and <b>off</b> means powered off.</p>
"""
FOOT = "</main>\n</body>\n</html>\n"


def made() -> str:
    """Return the page."""
    manual = MANUAL.read_text(encoding="utf-8")
    reasons = {str(reason): reason.name for reason in Reason}
    alarms = {_capital(rule.text or str(cause)): f"alarm-{cause.name}" for cause, rule in RULES.items()}
    parts = [HEAD]
    for title, names, begins in (
        ("Reasons", reasons, ("", TO_DO)),
        ("Why it waits", {}, ("",)),
        ("Alarms", alarms, (RAISED, TO_DO)),
    ):
        text = manual.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        parts += [f"<h2>{title}</h2>\n", *_section(text, names, begins)]
    return "".join(parts) + FOOT


def _section(text: str, names: dict[str, str], begins: tuple[str, ...]) -> Iterator[str]:
    is_open = False
    for line in (*text.splitlines(), ""):
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| `") else []
        if is_open and not cells:
            yield "</dl>\n"
        elif cells and not is_open:
            yield "<dl>\n"
        is_open = bool(cells)
        if line.startswith("### "):
            yield f"<h3>{line.removeprefix('### ')}</h3>\n"
        elif cells:
            name, *more = cells
            key = names.get(name.strip("`"), "")
            place = f' id="{key}"' if key else ""
            yield f"<dt{place}>{_capital(html.escape(name.strip('`'), quote=False))}</dt>\n"
            for begin, cell in zip(begins, more, strict=True):
                said = cell if begin == RAISED else _capital(cell)
                yield f"<dd>{begin}{_inline(said, key.removeprefix('alarm-'))}</dd>\n"


def _inline(text: str, key: str) -> str:
    text = html.escape(text, quote=False)
    text = re.sub(r"\[reason\]\([^)]*\)|(?<=See the )reason", f'<a href="#{key}">reason</a>', text)
    text = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)  # other pages of the manual are not here
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    PAGE.write_text(made(), encoding="utf-8")
