"""The command line: arguments, exit codes, one readable sentence per failure.

Exit codes: 0 all well, 1 something failed, 2 the user must correct the command line or the configuration.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from opendtu_dcload import __version__, command_line
from opendtu_dcload.errors import ConfigError, ServiceError
from opendtu_dcload.log_limit import LogLimit
from opendtu_dcload.patient_stream import unblocked
from opendtu_dcload.program_name import program

FAILED = 1
WRONG_CONFIG = command_line.WRONG
STATE_FOLDER = "STATE_DIRECTORY"
"""Environment variable: where to keep what must survive a restart (systemd.exec(5)); else beside the configuration."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name from a device must not end anything
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = _parser()
    try:
        arguments = parser.parse(argv)
        if arguments.start is not _run and (arguments.dry_run or arguments.live):
            parser.error("--dry-run and --live belong to running without a command: leave them out")
        with unblocked() if arguments.start is _run else contextlib.nullcontext():
            return _exit_code(arguments)
    except OSError as err:
        if not _has_lost_output(err):
            raise
        return FAILED


def _exit_code(arguments: argparse.Namespace) -> int:
    try:
        code = int(arguments.start(arguments))
        if arguments.start is not _run:
            print(end="", flush=True)
    except ConfigError as err:
        for problem in err.problems:
            print(problem, file=sys.stderr)
        return WRONG_CONFIG
    except ServiceError as err:
        print(err, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return code


def _has_lost_output(err: OSError) -> bool:
    """Tell whether an error says that stdout takes nothing more; if so say it, and let nobody try again."""
    try:
        print(flush=True)
    except OSError as again:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if again.errno != err.errno:
            return False
        if not isinstance(err, BrokenPipeError):  # whoever reads, such as `head`, has left, and knows it
            advice = "make room where it goes, or send it elsewhere"
            print(f"what is printed cannot be written to stdout ({err.strerror}): {advice}", file=sys.stderr)
        return True
    return False


def _parser() -> command_line.Parser:
    parser = command_line.Parser(
        prog=program(),
        description="Keeps the grid meter at its target by setting battery-fed inverters through OpenDTU.",
        epilog="Without a command it runs until it is told to stop.",
    )
    parser.add_argument("--version", action="version", version=f"opendtu-dcload {__version__}")
    parser.add_argument("--dry-run", action="store_true", help="decide and publish, but command nothing")
    parser.add_argument(
        "--live",
        nargs="?",
        choices=("plant", "inverters"),
        const="plant",
        default="",
        help="show once a second on stdout what flows and why, =inverters each inverter too (=plant: without)",
    )
    parser.set_defaults(start=_run)
    _add_config(parser, Path("config.toml"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")

    check = commands.add_parser("check", help="check the configuration and ask the devices, change nothing")
    _add_config(check, argparse.SUPPRESS)
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.add_argument(
        "--step", action="store_true", help="also let each inverter make a step that the meter must show"
    )
    check.add_argument("--yes", action="store_true", help="do not ask before --step")
    check.set_defaults(start=_check)

    status = commands.add_parser("status", help="show what the running service says of itself")
    _add_config(status, argparse.SUPPRESS)
    form = status.add_mutually_exclusive_group()
    form.add_argument("--watch", action="store_true", help="show it once a second, as --live does")
    form.add_argument("--json", action="store_true", help="print it as JSON")
    status.set_defaults(start=_status)

    init = commands.add_parser("init", help="write a config.toml from what the devices answer")
    _add_config(init, argparse.SUPPRESS)
    init.add_argument("--meter", metavar="HOST", help="address of the Shelly, or gx: the GX's own grid meter")
    init.add_argument("--opendtu", metavar="HOST", help="address of OpenDTU")
    init.add_argument("--password-file", type=Path, metavar="FILE", help="holds OpenDTU's password")
    init.set_defaults(start=_init)

    old = commands.add_parser("import-config", help="write a config.toml from the original's config.ini")
    _add_config(old, argparse.SUPPRESS)
    old.add_argument("old", type=Path, metavar="config.ini")
    old.set_defaults(start=_import)

    service = commands.add_parser("install-service", help="make it a service of systemd, or update that (as root)")
    service.set_defaults(start=_install_service)
    no_service = commands.add_parser("uninstall-service", help="stop the service of systemd and remove it (as root)")
    no_service.set_defaults(start=_uninstall_service)

    _add_plays(commands)
    return parser


def _add_plays(commands: argparse._SubParsersAction[command_line.Parser]) -> None:
    """Add the commands that need no device."""
    replay = commands.add_parser("replay", help="decide a recording again and print what differs")
    replay.add_argument("recording", type=Path, metavar="FILE", help="as the setting log.record leaves it, or its .gz")
    replay.set_defaults(start=_replay)

    demo = commands.add_parser("demo", help="run everything against a simulated house, without any hardware")
    demo.add_argument(
        "--duration", type=command_line.duration_s, metavar="S", help="end after this time in s, with a verdict"
    )
    demo.set_defaults(start=_demo)

    _add_simulate(commands)

    bench = commands.add_parser("bench", help="compare controllers on many loads and plants, on virtual time")
    bench.add_argument(
        "--only", default="", metavar="PATTERN", help="begin of plant/case or plant/kind, such as '*/tuning'"
    )
    bench.add_argument("--controllers", default="", metavar="A,B", help="only these controllers")
    bench.add_argument(
        "--seeds", type=command_line.count, default=1, metavar="N", help="play each case with so many seeds"
    )
    bench.add_argument("--phases", type=command_line.count, default=20, metavar="N", help="play the step test so often")
    bench.add_argument("--json", action="store_true", help="print JSON")
    bench.add_argument("--plots", type=Path, metavar="DIR", help="only draw the manual's pictures into this folder")
    bench.set_defaults(start=_bench)


def _add_simulate(commands: argparse._SubParsersAction[command_line.Parser]) -> None:
    simulate = commands.add_parser(
        "simulate", help="play your house's load to your inverters and settings, and to others, on virtual time"
    )
    _add_config(simulate, argparse.SUPPRESS)
    simulate.add_argument(
        "--trace",
        nargs="+",
        default=(),
        metavar="FILE",
        help="the load: CSV with times and powers, a Shelly's history, a recording of log.record, or a carried trace; "
        "several are added, as one for each phase",
    )
    simulate.add_argument("--column", metavar="NAME", help="which column holds the power, or which sensor")
    simulate.add_argument(
        "--day", type=command_line.day, metavar="YYYY-MM-DD", help="which day of it; by default the last whole one"
    )
    simulate.add_argument(
        "--hours", type=command_line.hours, metavar="A-B", help="which hours of it, such as 17-22 or 6:30-9"
    )
    simulate.add_argument(
        "--solar", type=command_line.power_w, default=0.0, metavar="W", help="panels beside it, as a model: peak in W"
    )
    simulate.add_argument(
        "--rated",
        type=command_line.power_w,
        nargs="+",
        default=(),
        metavar="W",
        help="rated power of each inverter in config.toml",
    )
    simulate.add_argument("--price", type=command_line.price, metavar="P", help="of a kWh: tells what it costs")
    simulate.add_argument("--report", type=Path, metavar="FILE", help="where the page for a browser goes to")
    simulate.add_argument("--alone", action="store_true", help="play your settings only, no others beside them")
    simulate.add_argument("--seed", type=command_line.seed, default=1, help="of the plant's random numbers")
    simulate.add_argument("--record", type=Path, metavar="FILE", help="write what is seen and decided, for replay")
    simulate.set_defaults(start=_simulate)


def _add_config(parser: argparse.ArgumentParser, default: Path | str) -> None:
    parser.add_argument("--config", type=Path, default=default, help="default: config.toml in the working directory")


def _run(arguments: argparse.Namespace) -> int:
    from opendtu_dcload import app, config  # noqa: PLC0415  demo and simulate start faster without
    from opendtu_dcload.tasks import watchdog  # noqa: PLC0415  as above

    settings = config.load_config(arguments.config)
    mark = "dry run: " if arguments.dry_run else ""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(LogLimit(time.monotonic))
    logging.basicConfig(
        level=settings.log.level.upper(), handlers=[handler], format=f"%(levelname)s {mark}%(message)s", force=True
    )
    if exposed := config.exposed_passwords(settings, arguments.config):
        logging.getLogger(__name__).warning("%s", exposed)
    folder = Path(os.environ.get(STATE_FOLDER) or arguments.config.parent)
    try:
        asyncio.run(
            app.run(settings, folder, dry_run=arguments.dry_run, live=arguments.live, watchdog=watchdog.Watchdog())
        )
    except ExceptionGroup as group:
        raise _first(group) from group
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.doctor.doctor_main import run_check  # noqa: PLC0415  as above

    return run_check(arguments.config, is_json=arguments.json, has_step=arguments.step, has_consent=arguments.yes)


def _status(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.status.status_command import run_status  # noqa: PLC0415  as above

    return run_status(arguments.config, is_watching=arguments.watch, is_json=arguments.json)


def _init(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.doctor.doctor_main import run_init  # noqa: PLC0415  as above
    from opendtu_dcload.doctor.init.first_config import Given  # noqa: PLC0415  as above

    return run_init(arguments.config, Given(arguments.meter, arguments.opendtu, arguments.password_file))


def _import(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.doctor.doctor_main import run_import  # noqa: PLC0415  as above

    return run_import(arguments.old, arguments.config)


def _install_service(_: argparse.Namespace) -> int:
    from opendtu_dcload import systemd_service  # noqa: PLC0415  as above

    return systemd_service.install()


def _uninstall_service(_: argparse.Namespace) -> int:
    from opendtu_dcload import systemd_service  # noqa: PLC0415  as above

    return systemd_service.uninstall()


def _replay(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.recording.replay import print_replay  # noqa: PLC0415  as above

    return print_replay(arguments.recording)


def _demo(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.sim.demo.demo import run_demo  # noqa: PLC0415  the simulator is not needed on a GX

    return run_demo(arguments.duration)


def _simulate(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.sim.whatif.question import Asked  # noqa: PLC0415  as above
    from opendtu_dcload.sim.whatif.simulation import PAGE, print_simulation  # noqa: PLC0415  as above

    asked = Asked(
        traces=arguments.trace,
        column=arguments.column,
        day=arguments.day,
        hours=arguments.hours,
        solar_w=arguments.solar,
        rated_w=arguments.rated,
        config=arguments.config,
        seed=arguments.seed,
    )
    return print_simulation(
        asked,
        price=arguments.price,
        page=arguments.report or PAGE,
        is_alone=arguments.alone,
        record=arguments.record,
    )


def _bench(arguments: argparse.Namespace) -> int:
    from opendtu_dcload.sim.bench.bench_report import print_bench  # noqa: PLC0415  as above
    from opendtu_dcload.sim.bench.plots import write_plots  # noqa: PLC0415  as above

    if arguments.plots is not None:
        write_plots(arguments.plots)
        return 0
    return print_bench(
        arguments.only,
        arguments.controllers,
        seeds=arguments.seeds,
        phases=arguments.phases,
        is_json=arguments.json,
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the exception that ended a task group: one of ours before any other."""
    leaves = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, ServiceError)), leaves[0])
