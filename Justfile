# Recipes for working on pylon-to-sqlite, in the virtual environment that the README makes.

bin := ".venv/bin"

# What there is to run
default:
    @just --list

# Make the virtual environment
install:
    python3 -m venv .venv
    {{ bin }}/pip install -e '.[test]'

# Run the tests; arguments go to pytest
test *arguments:
    {{ bin }}/python -m pytest {{ arguments }}

# Check style and formatting
lint:
    {{ bin }}/ruff check
    {{ bin }}/ruff format --check

# Check types
types:
    {{ bin }}/mypy

# Write the generated parts of the pages and metadata.json again
docs:
    {{ bin }}/cog -r -I docs README.md docs/commands.md docs/schema.md
    {{ bin }}/python -c 'import json; from pylon_to_sqlite.metadata import USUAL_NAMES, metadata_for; print(json.dumps(metadata_for(USUAL_NAMES), indent=4))' > metadata.json

# Make the pictures of the README again; needs a Chromium
screenshots:
    {{ bin }}/python tests/screenshots.py

# Mirror the sample workspace and open it in Datasette
demo:
    {{ bin }}/pylon-to-sqlite demo

# All checks in a fresh virtual environment
ci:
    .ci/run
