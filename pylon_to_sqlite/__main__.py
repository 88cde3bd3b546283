"""The program: `pylon-to-sqlite`, and `python -m pylon_to_sqlite`."""

import sys


def main() -> None:
    """Run the command line, which Ctrl-C ends in a line even while it is still being loaded."""
    try:
        from pylon_to_sqlite.cli import cli
    except KeyboardInterrupt:
        from pylon_to_sqlite.endings import MORE_TO_DO

        sys.stderr.write("Stopped.\n")
        sys.exit(MORE_TO_DO)
    cli(prog_name="pylon-to-sqlite")


if __name__ == "__main__":
    main()
