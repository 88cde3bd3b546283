"""Makes the pictures of the README anew, from the sample workspace: python tests/screenshots.py"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from browsing import CHROMIUM, browser, served

from pylon_to_sqlite.metadata import queries

DOCS = Path(__file__).parent.parent / "docs"
LARGEST = 300_000

# A short one in which everybody has their say: a bot, and a private note, with a file.
TALKATIVE = """
    SELECT i.number FROM issues AS i JOIN issue_messages AS m ON m.issue_id = i.id
    GROUP BY i.id
    HAVING total(m.is_private) AND total(m.file_urls NOT IN ('', '[]')) AND count(*) > 4
    ORDER BY
        total(m.author_contact_id IS NULL AND m.author_user_id IS NULL) = 0,
        total(length(m.message_text))
    LIMIT 1
"""


def main() -> None:
    """Mirror the sample, serve it, look at it."""
    if not CHROMIUM:
        sys.exit("There is no Chromium on this machine (chromium, or google-chrome).")
    with TemporaryDirectory() as directory:
        path = Path(directory) / "pylon.db"
        command = [sys.executable, "-m", "pylon_to_sqlite", "demo", str(path), "--no-serve"]
        subprocess.run(command, check=True, capture_output=True)
        with closing(sqlite3.connect(path)) as connection:
            (number,) = connection.execute(TALKATIVE).fetchone()
        (chart,) = (one.fragment for one in queries() if one.name == "volume_by_week")
        pictures = {
            "overview": ("/pylon/-/pylon", 1200, 1120, False),
            "conversation": (f"/pylon/-/conversation/{number}", 1200, 1140, False),
            "phone": ("/pylon/-/pylon", 390, 1080, True),
            "chart": (f"/pylon/volume_by_week#{chart}", 900, 1220, False),
            "search": ("/pylon/search_everywhere?words=refresh+token", 1200, 760, False),
        }
        with served(path) as url, browser() as page:
            for name, (wanted, width, height, is_dark) in pictures.items():
                page.show(width, height, is_dark=is_dark)
                page.open(url + wanted)
                if "#" in wanted:
                    page.wait_for("svg.marks, canvas.marks")
                picture = page.picture()
                if len(picture) > LARGEST:
                    sys.exit(f"{name}.png would have {len(picture):,} bytes: make it smaller")
                (DOCS / f"{name}.png").write_bytes(picture)
                print(f"docs/{name}.png: {len(picture):,} bytes")


if __name__ == "__main__":
    main()
