"""Entry point of `python -m opendtu_dcload`."""

import sys

from opendtu_dcload.cli import main

sys.exit(main())
