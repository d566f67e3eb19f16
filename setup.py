"""Puts config.toml into the package too: `init` and `import-config` write theirs from it. All else: pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfig(build_py):
    """The usual build, and one file more."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:  # a checkout has the file where it is
            shutil.copy("config.toml", Path(self.build_lib) / "opendtu_dcload" / "config.toml")


setup(cmdclass={"build_py": BuildWithConfig})
