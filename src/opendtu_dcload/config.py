"""The user's settings: TOML in, frozen models out; every mistake in one run, each with key, value and allowed range.

Powers are W, import from the grid positive. A value of None means "not given": what then happens stands at the field.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from opendtu_dcload import config_words as words
from opendtu_dcload.config_checks import contradictions
from opendtu_dcload.config_source import read_password, read_table
from opendtu_dcload.errors import ConfigError

FIRST_INVERTER_INSTANCE = 134  # the original's, so that VRM goes on with the same device
MAX_INVERTERS = 10  # OpenDTU: INV_MAX_COUNT
