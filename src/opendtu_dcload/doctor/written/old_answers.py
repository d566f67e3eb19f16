"""A config.toml that is there already: its answers are the defaults, and what was not asked for stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli

from opendtu_dcload.config.reading import read_table
from opendtu_dcload.doctor.written.draft import Block, Draft
from opendtu_dcload.errors import ConfigError

ASKED = {
    "meter": ("source", "host", "channel", "invert", "user", "password", "password_file", "password_env"),
    "opendtu": ("host", "user", "password", "password_file", "password_env", "poll_interval_s"),
}
"""The settings of a section that `init` finds out."""
Answers = Mapping[str, Mapping[str, Any]]
"""Settings by section."""


class OldAnswers:
    """What stands in a file.

    Raises:
        ConfigError: it cannot be read, or is none that can be changed setting by setting.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._table = read_table(path)
        self._text = path.read_text(encoding="utf-8-sig")
        if len(self._sections("opendtu")) > 1:
            raise ConfigError([f"{path} has several OpenDTUs, which are added by hand; change it in an editor"])
        for section in (*ASKED, "battery", "inverter"):
            if not all(isinstance(part, dict) for part in self._sections(section)):
                raise self._unchangeable()
        # before anything is asked: what cannot be changed must not cost the answers
        self.changed({section: dict.fromkeys(keys, "x") for section, keys in ASKED.items()}, [Block("0" * 12)], 48.0)

    def of(self, section: str) -> dict[str, Any]:
        """Return the settings of a section that `init` finds out."""
        settings = self._section(section)
        values = {key: settings.get(key) for key in ASKED[section]}
        return {key: value for key, value in values.items() if isinstance(value, str | int | float) and value != ""}

    @property
    def serials(self) -> list[str]:
        """The inverters that are listed."""
        return [str(block["serial"]).lower() for block in self._sections("inverter") if block.get("serial")]

    @property
    def floor_v(self) -> float | None:
        """The battery's lowest voltage in V, None = none that could be meant."""
        floor_v = self._section("battery").get("min_voltage_v")
        return float(floor_v) if isinstance(floor_v, int | float) and floor_v > 0 else None

    def changed(self, answers: Answers, blocks: Sequence[Block], floor_v: float | None) -> str:
        """Return the text with other answers in it.

        Args:
            answers: all that is to be set in the sections of `ASKED`; what is missing of it is no longer set.
            blocks: the inverters on the battery.
            floor_v: the battery's lowest voltage in V; None = it stays.

        Raises:
            ConfigError: the file is written in a way that this cannot change.
        """
        draft, wanted = Draft(self._text), copy.deepcopy(self._table)
        for section, keys in ASKED.items():
            old, new = self._section(section), _section_of(wanted, section)
            for key in keys:
                if key in answers[section]:
                    new[key] = answers[section][key]
                    if old.get(key) != new[key]:
                        draft.set(section, key, new[key])
                elif key in old and key != "poll_interval_s":
                    del new[key]
                    draft.drop(section, key)
        if floor_v is not None and floor_v != self.floor_v:
            _section_of(wanted, "battery")["min_voltage_v"] = floor_v
            draft.set("battery", "min_voltage_v", floor_v)
        listed = {block.serial for block in blocks}
        added = [block for block in blocks if block.serial not in self.serials]
        kept = [block for block in self._sections("inverter") if str(block.get("serial")).lower() in listed]
        wanted["inverter"] = [*kept, *({"serial": block.serial} for block in added)]
        draft.change_inverters(listed, added)
        try:
            found = tomli.loads(draft.text)
        except tomli.TOMLDecodeError as err:
            raise self._unchangeable() from err
        if found | {"inverter": found.get("inverter", [])} != wanted:
            raise self._unchangeable()
        return draft.text

    def _section(self, section: str) -> dict[str, Any]:
        return (self._sections(section) or [{}])[0]

    def _sections(self, section: str) -> list[dict[str, Any]]:
        part = self._table.get(section, [])
        return part if isinstance(part, list) else [part]

    def _unchangeable(self) -> ConfigError:
        return ConfigError(
            [f"{self._path} is not written setting by setting, so it cannot be changed here; change it in an editor"]
        )


def _section_of(table: dict[str, Any], section: str) -> dict[str, Any]:
    part = table.setdefault(section, {})
    settings: dict[str, Any] = part[0] if isinstance(part, list) else part
    return settings
