"""Everything that can go wrong, split by who must act.

ServiceError
├── ConfigError              the user must edit something; exit code 2
├── TaskEndedError           a mistake of ours; the program ends and is started anew
├── BusError                 the message bus cannot be used now; tried again for ever
│   ├── NameTakenError           another process owns the service's name
│   ├── EndedOnPurposeError      we ended the connection, to come again
│   └── CallRefusedError         a call was answered with an error
└── DeviceError              expected in operation; the caller goes on and tries again
    ├── DeviceConnectionError    no connection, or it broke
    ├── DeviceTimeoutError       no complete answer in time
    ├── DeviceAnswerError        an answer that makes no sense (not JSON, wrong types, too large, HTTP 4xx/5xx)
    ├── DevicePauseError         the client leaves it alone for a while
    │   ├── DeviceBusyError          because it asks for that (HTTP 429)
    │   └── DeviceAuthError          because it refused the password
    └── DeviceRefusedError       understood and declined (OpenDTU: `type` is not `success`)
"""


class ServiceError(Exception):
    """Base of all our errors. The text is one sentence: what, where, what to do."""


class ConfigError(ServiceError):
    """The configuration cannot be used."""

    def __init__(self, problems: list[str]) -> None:
        """Keep one line per problem, each with key, value and what is allowed."""
        super().__init__("\n".join(problems))
        self.problems = problems


class TaskEndedError(ServiceError):
    """A part of the program has ended that should run for as long as the program does."""


class BusError(ServiceError):
    """The message bus did not do what was asked."""


class NameTakenError(BusError):
    """Another process owns the name; usually a second copy of this program."""


class EndedOnPurposeError(BusError):
    """The connection was ended by ourselves; the text says why."""


class BusGoneError(BusError):
    """There is no connection to the bus, or it has ended."""


class CallRefusedError(BusError):
    """The called service, or the bus in its place, answered with an error."""

    def __init__(self, message: str, error_name: str) -> None:
        """Keep the D-Bus name of the error."""
        super().__init__(message)
        self.error_name = error_name


class DeviceError(ServiceError):
    """A device did not do what was asked."""


class DeviceConnectionError(DeviceError):
    """The device cannot be reached."""


class DeviceTimeoutError(DeviceError):
    """The device did not answer completely in time."""


class DeviceAnswerError(DeviceError):
    """The device's answer cannot be used."""


class DevicePauseError(DeviceError):
    """The client asks the device again only after a pause."""

    def __init__(self, problem: str, retry_after_s: float) -> None:
        """Keep what is the matter, for whoever does not try again, and the pause in s."""
        super().__init__(f"{problem}; next attempt in {retry_after_s:.0f} s")
        self.problem = problem
        self.retry_after_s = retry_after_s


class DeviceBusyError(DevicePauseError):
    """The device asks for a pause."""


class DeviceAuthError(DevicePauseError):
    """The device refuses the credentials."""


class DeviceRefusedError(DeviceError):
    """The device understood the request and declined it."""

    def __init__(self, message: str, code: int | None) -> None:
        """Keep the device's own code, None when it gave none."""
        super().__init__(message)
        self.code = code
