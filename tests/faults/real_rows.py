"""Faults that need real processes, a real bus or the host: each is played by a test, whose result is its promise."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.plays.lie import Promise

ROOT = Path(__file__).parents[2]
WORKERS = "4"


@dataclass(frozen=True)
class RealRow:
    """A fault, what is promised of it, and the test that plays it."""

    name: str
    promise: str
    """What the test asserts, in words."""
    node_id: str
    """Of pytest; without the brackets all parameters are meant, and all must pass."""

    @property
    def key(self) -> tuple[str, str]:
        """Return class and name as junit tells them."""
        path, _, name = self.node_id.partition("::")
        return path.removesuffix(".py").replace("/", "."), name


_FOLLOWER = "tests/venus/gx/test_battery_follower.py::"
_GUARD = "tests/control/protection/test_plant_guard.py::"
_SETTINGS = "tests/venus/gx/test_localsettings.py::"
_HTTP = "tests/devices/test_http.py::"
_PROGRAM = "tests/program/test_program.py::"
_HOST = "tests/program/test_host.py::"
METERS_AND_DTUS = (
    RealRow(
        "one of two DTUs silent",
        "the inverters of the other regulate on",
        "tests/control/test_several_dtus.py::test_while_one_dtu_is_silent_the_inverters_of_the_other_regulate_on",
    ),
    RealRow(
        "OpenDTU silent, behind a relay",
        "the relay opens 5 minutes after it was last armed, within 6 minutes",
        "tests/tasks/test_rearm_relay.py::"
        "test_when_the_meter_the_dtu_or_the_control_falls_silent_it_opens_within_six_minutes",
    ),
    RealRow(
        "device gets a new address for its name, the old one answers no more",
        "asked there within the 10 s for which aiohttp keeps a name's address",
        "tests/devices/test_http.py::test_a_device_with_a_new_address_is_found_under_its_name",
    ),
    RealRow(
        "meter answers with headers without end",
        "silent: minimum, then off; no memory is filled",
        f"{_PROGRAM}test_meter_that_answers_without_end_counts_as_silent_and_fills_no_memory",
    ),
    RealRow(
        "device answers without end, in a header or a chunk",
        "cut off before the time limit, one of our errors",
        f"{_HTTP}test_an_answer_without_end_is_cut_off_before_the_time_limit",
    ),
    RealRow(
        "device answers byte by byte",
        "given up after the time limit",
        f"{_HTTP}test_time_limit_covers_an_answer_that_comes_byte_by_byte",
    ),
    RealRow(
        "device answers with compressed data",
        "refused before it is unpacked",
        f"{_HTTP}test_a_compressed_answer_is_refused_before_it_is_unpacked",
    ),
    RealRow(
        "device redirects to another host",
        "not followed, no credentials leave",
        "tests/devices/test_http_logins.py::test_credentials_never_follow_a_redirect",
    ),
)
BATTERY_AND_GX = (
    RealRow(
        "BMS forbids discharge",
        "nothing flows at once, for a minute",
        "tests/control/protection/test_battery_guard.py::"
        "test_a_battery_that_refuses_is_obeyed_at_once_and_for_a_minute",
    ),
    RealRow(
        "inverters do not obey the battery guard",
        "power off after 40 s, then the relay opens, and it is told",
        f"{_GUARD}test_a_power_off_that_is_lost_opens_the_relay_and_is_told",
    ),
    RealRow(
        "battery's values are older than a minute",
        "no longer believed",
        "tests/control/protection/test_battery_guard.py::test_values_older_than_a_minute_are_not_believed",
    ),
    RealRow(
        "BMS refuses and allows every 20 s",
        "off within 30 s, and no more switching in 15 minutes",
        f"{_GUARD}test_a_battery_that_refuses_and_allows_by_turns_is_switched_off_once",
    ),
    RealRow(
        "discharge limit of 0.1 A",
        "nothing flows after 60 s; regulated within 300 s of 100 A",
        f"{_GUARD}test_a_battery_that_lets_next_to_nothing_out_ends_the_output_until_it_lets_out_more",
    ),
    RealRow(
        "battery's values stand still",
        "not believed after 40 s in which 300 W do not show, said in one line; believed with the first change",
        f"{_FOLLOWER}test_a_battery_that_does_not_show_what_the_inverters_draw_is_frozen_and_said_so",
    ),
    RealRow(
        "battery's SoC alone stands still",
        "off 60 s after the inverters' own DC voltage fell below min_voltage_v",
        "tests/control/protection/test_battery_guard.py::"
        "test_a_soc_that_alone_stands_still_leaves_an_empty_battery_to_the_voltage_of_its_inverters",
    ),
    RealRow(
        "battery service does not answer",
        "last values with their age, said when lost and when back; the MultiPlus is read on",
        f"{_FOLLOWER}test_a_battery_that_hangs_keeps_its_last_values_with_their_age_and_hinders_nobody",
    ),
    RealRow(
        "battery service gone",
        "forgotten after 10 minutes and not before",
        f"{_FOLLOWER}test_a_battery_that_was_taken_away_is_forgotten_after_ten_minutes",
    ),
    RealRow(
        "another battery chosen on the GX",
        "followed as soon as it is chosen",
        f"{_FOLLOWER}test_of_two_batteries_the_active_one_is_followed_and_a_new_choice_at_once",
    ),
    RealRow(
        "ESS charges from the grid, or inverts, with 300 W",
        "nothing flows within 60 s; regulated within 240 s of its end",
        f"{_GUARD}test_a_multiplus_at_work_stops_the_plant_until_it_rests",
    ),
    RealRow(
        "systemcalc killed",
        "last values with their age, said when lost; followed again when it is back",
        f"{_FOLLOWER}test_a_systemcalc_that_is_killed_leaves_the_last_values_and_is_followed_again",
    ),
    RealRow(
        "localsettings killed",
        "said in one line each way; what is set meanwhile is kept when it is back",
        f"{_SETTINGS}test_a_localsettings_that_was_away_for_seconds_is_told_to_be_away_and_to_be_back",
    ),
    RealRow(
        "localsettings hangs",
        "what is set holds at once",
        f"{_SETTINGS}test_a_localsettings_that_hangs_holds_nobody_up",
    ),
    RealRow(
        "bus killed",
        "regulated within 30 W meanwhile; all services are back with it, and no alarm",
        f"{_PROGRAM}test_bus_that_dies_and_returns_does_not_disturb_the_regulation",
    ),
    RealRow(
        "bus never answers",
        "regulated within 30 W, orderly end",
        f"{_PROGRAM}test_bus_that_never_answers_does_not_disturb_the_regulation",
    ),
    RealRow(
        "name taken by another process",
        "one warning; takes the name when it is free",
        "tests/venus/bus/test_busitem.py::test_a_second_owner_is_refused_and_follows_when_the_first_leaves",
    ),
    RealRow(
        "another DC system meter",
        "the sum is withdrawn, and back when that goes; one line each",
        "tests/venus/services/test_dcsystem.py::"
        "test_beside_another_dc_system_it_is_withdrawn_and_comes_back_when_that_goes",
    ),
    RealRow(
        "another grid meter",
        "ours makes way and goes on as a load",
        "tests/venus/services/test_meter_role.py::test_a_grid_meter_makes_way_for_another_one_that_appears",
    ),
    RealRow(
        "meter dead while it is the grid meter",
        "the GX goes by the MultiPlus, and by the meter when it is back",
        "tests/program/test_gx_outages.py::test_while_the_meter_is_dead_the_gx_goes_by_the_multiplus",
    ),
)
HOST = (
    RealRow(
        "SIGKILL, behind a relay",
        "nothing flows 300 s later; started anew, the minimum is acknowledged before the relay closes",
        "tests/program/test_behind_a_relay.py::"
        "test_killed_it_drops_the_inverters_within_300_s_and_limits_come_before_the_relay_when_it_is_back",
    ),
    RealRow(
        "SIGKILL at 100 random moments, started anew at once",
        "within the cap, nothing raised or repeated while the predecessor's limit waits",
        "tests/control/test_killed.py::"
        "test_killed_at_any_moment_nothing_is_raised_or_repeated_while_the_predecessors_limit_waits",
    ),
    RealRow(
        "SIGTERM, SIGINT or SIGHUP",
        "exit 0, both inverters at their minimum of 20 W",
        f"{_PROGRAM}test_regulates_and_leaves_the_inverters_at_their_minimum",
    ),
    RealRow(
        "told to end while the DTU is slow",
        "ends within 5 s, however slowly it answers",
        "tests/control/commands/test_leave.py::test_it_ends_in_time_however_slowly_the_dtu_answers",
    ),
    RealRow(
        "SIGTERM with a raise in flight that the DTU executes late",
        "the minimum rules at the end",
        "tests/program/test_leaving.py::test_a_raise_that_the_dtu_executes_late_does_not_rule_at_the_end",
    ),
    RealRow(
        "SIGSTOP for 12 s, the load falls",
        "regulated within 60 W again, orderly end",
        f"{_HOST}test_stopped_for_seconds_it_regulates_on",
    ),
    RealRow(
        "SIGSTOP for longer than counts as a hang",
        "exit 1 for the supervisor, inverters told the minimum",
        f"{_HOST}test_stopped_for_longer_than_a_hang_it_ends_after_the_inverters_were_told",
    ),
    RealRow(
        "a tenth of the processor for 20 s, the load falls and rises",
        "lives on, regulated within 60 W",
        f"{_HOST}test_starved_of_the_processor_it_regulates_on",
    ),
    RealRow(
        "a task of the program ends by a mistake of ours",
        "exit 1 for the supervisor, inverters at their minimum, one sentence",
        "tests/program/test_ended_task.py::"
        "test_a_task_that_returns_costs_one_sentence_and_exit_code_1_after_the_inverters_were_told",
    ),
    RealRow(
        "hang in a loop, in a wait, or of the control task",
        "exit 1 for the supervisor, inverters at their minimum, one line",
        "tests/program/test_hang.py::test_a_hang_ends_the_program_after_the_inverters_were_told",
    ),
    RealRow(
        "wall clock 5 years back, then 20 years forth",
        "regulated within 60 W after each, no warning",
        f"{_HOST}test_a_wall_clock_that_jumps_by_years_back_and_forth_changes_nothing",
    ),
    RealRow(
        "no file descriptors left",
        "one sentence, lives on; regulated within 60 W when there are some",
        f"{_HOST}test_without_descriptors_it_says_so_lives_on_and_regulates_once_there_are_some",
    ),
    RealRow(
        "folder for what is kept cannot be written",
        "one line, regulated within 30 W",
        f"{_PROGRAM}test_the_seasonal_soc_is_kept_where_the_supervisor_says",
    ),
    RealRow(
        "disk full while it records",
        "one line, regulated within 60 W, exit 0, inverters at their minimum",
        f"{_HOST}test_on_a_full_disk_the_recording_ends_and_the_regulation_does_not",
    ),
    RealRow(
        "disk full under the log",
        "regulated within 60 W, exit 0, inverters at their minimum",
        f"{_HOST}test_a_log_on_a_full_disk_stops_nothing",
    ),
    RealRow(
        "disk full under the seasonal minimum SoC",
        "what was kept before stays, one line",
        "tests/tasks/test_seasonal_store.py::test_on_a_full_disk_what_was_kept_before_stays_and_it_is_said_once",
    ),
    RealRow(
        "disk full, uninstalling on a GX",
        "everything is taken off",
        "tests/deploy/test_gx_broken.py::test_uninstall_on_a_full_disk_takes_everything_off",
    ),
    RealRow(
        "stderr or stdout that nobody reads",
        "regulated within 30 W, exit 0, inverters at their minimum",
        "tests/program/test_unread_output.py::"
        "test_output_that_nobody_reads_stops_neither_the_regulation_nor_the_orderly_end",
    ),
    RealRow(
        "two copies",
        "the second waits, says so once, and takes over when the first is killed",
        f"{_PROGRAM}test_a_second_copy_waits_says_so_once_and_takes_over_when_the_first_is_killed",
    ),
    RealRow(
        "started again and again with a meter that it cannot use",
        "exit 2 with one sentence, no command is sent",
        f"{_PROGRAM}test_program_that_fails_again_and_again_at_its_start_leaves_the_radio_alone",
    ),
    RealRow(
        "started with five mistakes in the configuration",
        "all five are told in one run",
        "tests/program/test_commands.py::test_five_mistakes_are_reported_in_one_run",
    ),
)
PEOPLE = (
    RealRow(
        "feed-in out of range, or no number, set on the GX",
        "0 W to the file's cap holds, what is no number is refused",
        "tests/venus/gx/test_gx_controls.py::test_what_is_written_to_the_feed_in",
    ),
    RealRow(
        "thousands of odd values set on the GX",
        "everything is in order afterwards",
        "tests/venus/gx/test_gx_controls.py::test_after_thousands_of_odd_writes_everything_is_in_order",
    ),
    RealRow(
        "inverter taken from the list, and a restart",
        "it has its minimum and is commanded no more; the others regulate",
        f"{_PROGRAM}test_an_inverter_taken_off_the_list_is_told_its_minimum_and_never_again",
    ),
    RealRow(
        "inverter known to the DTU and not listed",
        "it is neither read nor shown",
        "tests/tasks/test_poll_dtu.py::test_of_what_the_dtu_knows_only_listed_inverters_reach_the_state",
    ),
)
REAL: tuple[RealRow, ...] = (*METERS_AND_DTUS, *BATTERY_AND_GX, *HOST, *PEOPLE)


def play_real(rows: Sequence[RealRow] = REAL) -> list[tuple[str, list[Promise]]]:
    """Run the tests of all rows, and return what came of each row; a test that was left out has kept nothing.

    Raises:
        OSError: pytest cannot be started, or it wrote no results.
    """
    with tempfile.TemporaryDirectory(prefix="opendtu-dcload-faults-") as folder:
        results = Path(folder) / "results.xml"
        options = ["-q", "-n", WORKERS, "--dist", "worksteal", "-o", "junit_family=xunit1", f"--junit-xml={results}"]
        argv = [sys.executable, "-m", "pytest", *options, *dict.fromkeys(row.node_id for row in rows)]
        subprocess.run(argv, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        cases = list(ET.parse(results).getroot().iter("testcase"))
    return [(row.name, [_promise(row, cases)]) for row in rows]


def _promise(row: RealRow, cases: Sequence[ET.Element]) -> Promise:
    folder, name = row.key
    mine = [
        case
        for case in cases
        if case.get("classname") == folder and (case.get("name") == name or case.get("name", "").startswith(f"{name}["))
    ]
    troubles = [_trouble(case) for case in mine]
    wrong = [trouble for trouble in troubles if trouble]
    seen = wrong[0] if wrong else f"{len(mine)} of {len(mine)} passed" if mine else "no such test"
    return Promise(row.promise, seen, bool(mine) and not wrong)


def _trouble(case: ET.Element) -> str:
    """Return in one line why a test did not pass; empty = it did."""
    for kind in ("failure", "error", "skipped"):
        if (found := case.find(kind)) is not None:
            return f"{kind}: {found.get('message', '').splitlines()[0] if found.get('message') else case.get('name')}"
    return ""
