"""Pages of mirrors that an earlier version made, and that no sync has brought up to date since."""

import gzip
from pathlib import Path

import pytest
from surfing import by_class, tree, visit

FILES = sorted((Path(__file__).parent / "files").glob("*.db.gz"))


@pytest.mark.parametrize("old", FILES, ids=lambda path: path.name)
def test_they_can_be_read(old: Path, tmp_path: Path) -> None:
    """What they lack is left out: tables, columns and indexes."""
    path = tmp_path / "pylon.db"
    path.write_bytes(gzip.decompress(old.read_bytes()))
    before = path.read_bytes()
    wanted = ("/", "/pylon", "/pylon/issues", "/pylon/-/pylon", "/pylon/-/conversation/1")
    answers = visit(path, *wanted)
    assert [answer.status_code for answer in answers] == [200] * len(wanted)
    assert by_class(tree(answers[-2].text), "card")
    assert by_class(tree(answers[-1].text), "message")
    assert path.read_bytes() == before
