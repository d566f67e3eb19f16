"""`install-service` and `uninstall-service`: the program, as it is installed, as a service of systemd.

On a GX there is no systemd: there `install.sh` does all of it (deploy/gx).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from opendtu_dcload import __version__
from opendtu_dcload.doctor.written.config_file import SERVICE_USER
from opendtu_dcload.doctor.written.shipped import NAME, can_be_written, shipped_file, shipped_text
from opendtu_dcload.errors import ServiceError
from opendtu_dcload.program_name import command

SERVICE = "opendtu-dcload"
UNITS = (f"{SERVICE}.service", f"{SERVICE}.timer")
UNIT_FOLDER = Path("/etc/systemd/system")
CONFIG = Path("/etc/opendtu-dcload", NAME)
STATE = Path("/var/lib/opendtu-dcload")
SHIPPED_FOLDER = "/opt/opendtu-dcload/bin/"
"""What stands in the shipped unit in the place of the folder that has the program and its Python."""
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user")))
"""Where the service sees nothing (systemd.exec(5): ProtectHome=)."""
NOBODY = 65534
"""A user and a group with no rights of their own, on every Debian (base-passwd)."""
ELSEWHERE = "install it where every user may read, with `pipx` below /opt or in a virtual environment there"


def install() -> int:
    """Make user, configuration and units of the service, and start it; return the exit code.

    Raises:
        ServiceError: it cannot be installed here, or a command of the system failed.
    """
    _check_system("install-service")
    units = _units(sys.executable)
    _check_program()
    if not _has_user():
        _call("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_USER)
    with _writing():
        CONFIG.parent.mkdir(mode=0o755, exist_ok=True)
        if not os.path.lexists(CONFIG):
            _put(CONFIG, shipped_text(), 0o640, pwd.getpwnam(SERVICE_USER).pw_gid)
        for name, text in units.items():
            _put(UNIT_FOLDER / name, text, 0o644, 0)
    _call("systemctl", "daemon-reload")
    _call("systemctl", "enable", "--quiet", SERVICE)
    # while nobody has filled in the configuration the service ends at once, and its timer tries again
    _call("systemctl", "--no-block", "restart", SERVICE)
    if can_be_written(CONFIG):
        print(f"{SERVICE} {__version__} is installed. Next: sudo {command('init', '--config', CONFIG)}")
    else:
        print(f"{SERVICE} {__version__} starts. Look at it with: systemctl status {SERVICE}")
    return 0


def uninstall() -> int:
    """Stop the service and remove its units; return the exit code.

    Raises:
        ServiceError: it cannot be done here, or a command of the system failed.
    """
    _check_system("uninstall-service")
    if (UNIT_FOLDER / UNITS[0]).exists():
        _call("systemctl", "disable", "--quiet", "--now", SERVICE)
    with _writing():
        for name in UNITS:
            (UNIT_FOLDER / name).unlink(missing_ok=True)
    _call("systemctl", "daemon-reload")
    stays = [str(path) for path in (CONFIG.parent, STATE) if path.exists()] + [f"the user {SERVICE_USER}"] * _has_user()
    print(f"{SERVICE} is no service any more. What stays: the program{''.join(f', {what}' for what in stays)}")
    return 0


def _check_system(name: str) -> None:
    if not Path("/run/systemd/system").is_dir():  # sd_booted(3)
        raise ServiceError(f"{name} needs systemd, which does not run here; the manual has the way for others")
    if os.geteuid() != 0:
        raise ServiceError(f"{name} needs root: sudo {command(name)}")


def _check_program() -> None:
    """Refuse a program that the service's user could not run."""
    for place in (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parent):
        if any(place.resolve().is_relative_to(folder) for folder in HIDDEN):
            raise ServiceError(f"the program or its Python is in {place}, where no service may look; {ELSEWHERE}")
    trial = [sys.executable, "-c", "import opendtu_dcload.app"]
    environ = {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(  # noqa: S603  ourselves
            trial, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env=environ, capture_output=True, check=False
        )
        is_run = done.returncode == 0
    except OSError:
        is_run = False
    if not is_run:
        raise ServiceError(f"other users than root cannot run the program in {sys.prefix}; {ELSEWHERE}")


def _units(python: str) -> dict[str, str]:
    """Return the units with the Python that has the program.

    Raises:
        ServiceError: its path means something else to systemd.
    """
    if not re.fullmatch(r"[\w/.+~-]+", python, flags=re.ASCII):
        raise ServiceError(
            f"systemd would misread the path {python}; install the program into one of letters and digits"
        )
    share = shipped_file().parent
    folder = next(folder for folder in (share / "debian", share / "deploy/debian") if folder.is_dir())
    ours = f"{Path(python).parent}/"
    return {name: (folder / name).read_text(encoding="utf-8").replace(SHIPPED_FOLDER, ours) for name in UNITS}


def _has_user() -> bool:
    try:
        pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return False
    return True


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise ServiceError(
            f"{err.filename or UNIT_FOLDER} cannot be written ({err.strerror}); correct that and try again"
        ) from err


def _put(path: Path, text: str, mode: int, group: int) -> None:
    """Make a text the content of a file of root: whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123  Path cannot create with a mode
        os.fchown(number, 0, group)
        os.fchmod(number, mode)
        file.write(text)
        file.flush()
        os.fsync(number)
    new.replace(path)


def _call(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  fixed commands
    except OSError as err:
        raise ServiceError(
            f"{words[0]} cannot be started ({err.strerror}); is this a Debian, and is it in PATH?"
        ) from err
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
        raise ServiceError(f"{' '.join(words[:2])} failed: {said[-1]}")
