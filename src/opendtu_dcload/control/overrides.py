"""What the user set on the GX, applied to the settings of the file: the only way from one to the other."""

from __future__ import annotations

from dataclasses import replace

from opendtu_dcload.control.protection.plant_guard import GuardSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import UserOverrides


def with_overrides(settings: Settings, overrides: UserOverrides) -> Settings:
    """Return the file's settings with the user's overrides in them; these never raise the cap of the file."""
    wished_w = settings.max_feed_in_w if overrides.max_feed_in_w is None else overrides.max_feed_in_w
    return replace(
        settings,
        target_w=settings.target_w if overrides.target_w is None else overrides.target_w,
        max_feed_in_w=min(settings.max_feed_in_w, max(wished_w, 0.0)),
        is_regulating=overrides.is_regulating,
        switched_off=overrides.switched_off,
        guards=_guards(settings.guards, overrides),
    )


def _guards(guards: GuardSettings, overrides: UserOverrides) -> GuardSettings:
    from_pct = guards.surplus_soc_pct
    return replace(
        guards,
        highest_soc_pct=overrides.highest_soc_pct,
        surplus_soc_pct=None if from_pct is None else max(from_pct, overrides.surplus_soc_pct or 0.0),
    )
