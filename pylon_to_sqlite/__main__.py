"""`python -m pylon_to_sqlite`."""

from pylon_to_sqlite.cli import cli

if __name__ == "__main__":
    cli(prog_name="pylon-to-sqlite")
