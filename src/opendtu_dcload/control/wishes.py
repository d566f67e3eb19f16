"""What the user set on the GX, applied to the settings of the file."""

from __future__ import annotations

from dataclasses import replace

from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Wishes


def narrowed(settings: Settings, wishes: Wishes) -> Settings:
    """Return the file's settings with the user's wishes in them; a wish never raises the cap in W of the file."""
    wished_w = settings.max_feed_in_w if wishes.max_feed_in_w is None else wishes.max_feed_in_w
    return replace(
        settings,
        target_w=settings.target_w if wishes.target_w is None else wishes.target_w,
        max_feed_in_w=min(settings.max_feed_in_w, max(wished_w, 0.0)),
        is_regulating=wishes.is_regulating,
        switched_off=wishes.switched_off,
    )
