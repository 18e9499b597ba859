"""The entry of the command ``mida`` and of ``python -m mida_async``."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command, or say how to install what it needs."""
    if find_spec("click") is None or find_spec("rich") is None:
        sys.stderr.write("mida: the command line needs click and rich: install mida-async[cli]\n")
        sys.exit(2)
    from ._cli.app import mida  # noqa: PLC0415  click and rich are optional

    mida(prog_name="mida")


if __name__ == "__main__":
    main()
