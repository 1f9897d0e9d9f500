"""Charmcraft's own command line on a machine that is no Ubuntu: packages that a part wants are taken to be there.

Which system it is says the file os-release in the folder of the environment variable UNIXCONFDIR.
"""

import sys

from charmcraft.application.main import main
from craft_parts import packages
from craft_parts.packages.base import DummyRepository

packages._get_repository_for_platform = lambda: DummyRepository
sys.exit(main())
