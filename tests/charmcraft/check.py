"""Reads a charmcraft.yaml with charmcraft's own models, and ends with 1 and what is wrong if they refuse it."""

import sys
from pathlib import Path

import pydantic
import yaml
from charmcraft import parts
from charmcraft.models.config import JujuConfig
from charmcraft.models.project import PlatformCharm
from craft_application.errors import CraftValidationError


def main() -> int:
    project = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    parts.setup_parts()
    try:
        PlatformCharm.unmarshal(project)
        # The model of the project does not look inside the options.
        JujuConfig.unmarshal(project["config"])
    except (pydantic.ValidationError, CraftValidationError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
