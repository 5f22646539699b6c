"""The program `recurra`, also as `python -m recurra`."""

import sys

from recurra.cli.stopping import stop_at_once

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process; returns its exit code."""
    stop_at_once()
    # Only now what takes long to import: whoever mistypes a command presses Ctrl-C before it is there.
    from recurra.cli.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
