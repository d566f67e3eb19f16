"""The result as one page for a browser: nothing is fetched, it is legible on a phone, in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from opendtu_dcload import __version__
from opendtu_dcload.sim.pictures.panels import GREY, panels_svg
from opendtu_dcload.sim.whatif.figures import Figures, explanations, figures_of, flows, relay_told
from opendtu_dcload.sim.whatif.played_variant import Stretch
from opendtu_dcload.sim.whatif.question import Question
from opendtu_dcload.sim.whatif.side_by_side import Played

STYLES = {
    "grid": f'stroke="{GREY}" stroke-width="1.5"',
    "load": 'stroke="#2e8b3d" stroke-width="1.5"',
    "inverters": 'stroke="#1f7ae0" stroke-width="1.5"',
    "set-point": 'stroke="#c45a00" stroke-width="1.5" stroke-dasharray="4 3"',
}
"""Each colour has a contrast of more than 4:1 on the page, white or dark."""
CSS = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1c1f23; --line: #7a7a7a; --mark: #e8f0fc; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --ink: #e6e8ea; --mark: #16263d; } }
body { box-sizing: border-box; margin: 0 auto; max-width: 62rem; padding: 1rem;
  background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; } .wide:focus-visible { outline: 2px solid #1f7ae0; }
.wide svg { display: block; width: 100%; min-width: 40rem; height: auto; }
table { border-collapse: collapse; overflow-wrap: normal; } caption { text-align: left; padding-bottom: .5rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child { text-align: left; } tbody tr:first-child { background: var(--mark); font-weight: bold; }
figure { margin: 1rem 0; } figcaption { font-size: .9rem; }
"""
SHOWN = (
    "above what the house took and what the meter showed (import positive), below what the inverters gave and the sum "
    "of their limits, the set-point."
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Of the page's content: nothing may be fetched or run."""


def page_of(question: Question, played: Played, price: float | None) -> str:
    """Return the page."""
    own = played.outcomes[0]
    title = "What your plant would have done"
    body = [
        f"<h1>{title}</h1>",
        f"<p>Load: {escape(question.load_told)}<br>Plant: {escape(question.plant_told)}</p>",
        *(f"<p>{escape(told)}</p>" for told in flows(own.result)),
        *([] if played.is_complete else ["<p><strong>It was ended before all settings were played.</strong></p>"]),
        "<h2>Settings compared</h2>",
        *_table(figures_of(played.outcomes, price)),
        *(f"<p>{escape(told)}</p>" for told in explanations(played.outcomes, price)),
        "<h2>With your settings</h2>",
        *_picture("whole", "The whole time", own.whole, question.clock_s),
        *_picture("close", "The hour with the most waste", own.close, question.clock_s),
    ]
    if played.dead_hour is not None:
        body += ["<h2>What a relay is worth</h2>", f"<p>{escape(relay_told(played.dead_hour, question.clock_s))}</p>"]
    body += ["<h2>What to know of these figures</h2>", *_list([*question.notes, _model_told()])]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{CSS}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            f"<footer><p>opendtu-dcload {__version__}</p></footer>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _model_told() -> str:
    played = (
        "The program itself was played on virtual time against simulated devices with delays and losses like real ones"
    )
    return f"{played}; your inverters, radio and meter may be quicker or slower."


def _table(figures: Figures) -> list[str]:
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in figures.heads)
    rows = [
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in figures.rows
    ]
    return [
        '<div class="wide" role="region" aria-labelledby="compared" tabindex="0">',
        '<table><caption id="compared">What each setting would have cost on this load</caption>',
        f"<thead><tr>{heads}</tr></thead>",
        "<tbody>",
        *rows,
        "</tbody></table></div>",
    ]


def _picture(name: str, title: str, seen: Stretch | None, clock_s: float) -> list[str]:
    if seen is None or any(len(curve) < 2 for curve in seen.curves.values()):
        return []
    drawn = panels_svg(
        title,
        seen.curves,
        STYLES,
        seen.length_s,
        "inverters",
        clock_s=clock_s + seen.first_s,
        beside_grid=("load",),
        prefix=f"{name}-",
    )
    highest_w = max(power_w for _, power_w in seen.curves["load"])
    lowest_w = min(power_w for _, power_w in seen.curves["grid"])
    told = f"A point is the mean over {seen.mean_s:.0f} s; load up to {highest_w:.0f} W, grid down to {lowest_w:.0f} W."
    return [
        f'<figure><div class="wide" role="region" aria-label="{title}" tabindex="0">',
        drawn,
        f"</div><figcaption>{title}: {SHOWN} {told}</figcaption></figure>",
    ]


def _list(sentences: Sequence[str]) -> list[str]:
    return ["<ul>", *(f"<li>{escape(sentence)}</li>" for sentence in sentences), "</ul>"]
