"""The status page as tasks of the program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from opendtu_dcload.config import Config
from opendtu_dcload.control.bookkeeping.books import local_date
from opendtu_dcload.lasting import Task
from opendtu_dcload.state import State
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.web.assets import page
from opendtu_dcload.web.feed import Feed
from opendtu_dcload.web.gate import Gate
from opendtu_dcload.web.history.history import History, utc_now
from opendtu_dcload.web.set_points import SetPoints
from opendtu_dcload.web.site import Site
from opendtu_dcload.web.status_document import StatusDocument
from opendtu_dcload.web.web_server import WebServer


def serving(
    config: Config,
    state: State,
    controls: Controls | None,
    folder: Path,
    clock: Callable[[], float],
    at_end: contextlib.ExitStack,
    *,
    is_dry: bool,
    wall: Callable[[], datetime] = utc_now,
) -> Iterator[Task]:
    """Yield what shows the status page; nothing when it is not wanted.

    Args:
        config: all settings.
        state: what is shown.
        controls: take what is set on the page; None = nothing may be commanded.
        folder: where the days are kept; a dry run keeps none.
        clock: monotonic time in s.
        at_end: what is to be done when the inverters were left in order and the program ends.
        is_dry: nothing is commanded.
        wall: the time of day.
    """
    web = config.web
    if not web.enabled:
        return
    feed, gate = Feed(), Gate(web.token, web.names or ())
    set_points = SetPoints(controls, config.control.target_w, config.control.max_feed_in_w)
    status = StatusDocument(config, state, clock, lambda: set_points.document(may_write=gate.may_write), is_dry=is_dry)
    history = History(status.eye, state, None if is_dry else folder, local_date, wall)
    at_end.callback(history.end)
    site = Site(status, history, set_points, feed, state, clock, wall)
    yield Task("status page", site.run())
    yield Task("web server", WebServer(site, gate, feed, page(), web.listen, web.port).run())
