"""SQL of the full-text indexes: an index holds the live rows of its table, whatever happens."""

from sqlite3 import Connection, DatabaseError

from pylon_to_sqlite.schema import FULL_TEXT, TABLES, live

# Words are stemmed as English, and letters stand for themselves with their accents.
TOKENIZER = "porter unicode61 remove_diacritics 2"


def index_of(table: str) -> str:
    """The name of a table's index."""
    return f"{table}_fts"


def view_of(table: str) -> str:
    """The name of the view that an index reads its words from: deleted rows are not in it, so
    that SQLite's own check of the index compares it with what it should hold."""
    return f"_pylon_live_{table}"


def created(table: str) -> dict[str, str]:
    """By name, what an index is made of: a view, the index, and the triggers that keep it true."""
    names = ", ".join(FULL_TEXT[table])
    view, index = view_of(table), index_of(table)
    return {
        view: (
            f"CREATE VIEW {view} AS"
            f" SELECT rowid AS docid, {names} FROM {table} WHERE {live(TABLES[table])}"
        ),
        index: (
            f"CREATE VIRTUAL TABLE {index} USING fts5({names}, content='{view}',"
            f" content_rowid='docid', tokenize='{TOKENIZER}')"
        ),
        **_triggers(table),
    }


def dropped(table: str) -> list[str]:
    """What removes all that an index is made of, as far as it is there."""
    names = [f"TRIGGER IF EXISTS {name}" for name in _triggers(table)]
    names += [f"TABLE IF EXISTS {index_of(table)}", f"VIEW IF EXISTS {view_of(table)}"]
    return [f"DROP {name}" for name in names]


def shadows(table: str) -> set[str]:
    """The tables in which SQLite keeps an index."""
    suffixes = ("", "_config", "_content", "_data", "_docsize", "_idx")
    return {f"{index_of(table)}{suffix}" for suffix in suffixes}


def filled(table: str) -> str:
    """What fills an index, whatever it held."""
    return f"INSERT INTO {index_of(table)}({index_of(table)}) VALUES ('rebuild')"


def is_here(connection: Connection, table: str) -> bool:
    """Whether a table has its index, and that is this tool's and not somebody's own."""
    sql = "SELECT sql FROM sqlite_master WHERE lower(name) = ?"
    row = connection.execute(sql, [index_of(table)]).fetchone()
    return row is not None and view_of(table) in str(row[0])


def is_true(connection: Connection, table: str) -> bool:
    """Whether an index holds what it should, no more and no less, by SQLite's own check. To SQLite
    that is a write, though it writes nothing."""
    index = index_of(table)
    sql = f"INSERT INTO {index}({index}, rank) VALUES ('integrity-check', 1)"
    return _is_done(connection, sql)


def is_open(connection: Connection, table: str) -> bool:
    """Whether SQLite can open an index at all, and so change or drop it."""
    return _is_done(connection, f"SELECT 1 FROM {index_of(table)} LIMIT 0")


def is_refilled(connection: Connection, table: str) -> bool:
    """Fill an index anew; gives whether it then holds what it should."""
    return _is_done(connection, filled(table)) and is_true(connection, table)


def torn_down(table: str) -> list[str]:
    """What removes an index that SQLite cannot open, and so cannot drop."""
    return [
        "PRAGMA writable_schema = ON",
        f"DELETE FROM sqlite_master WHERE name = '{index_of(table)}'",
        "PRAGMA writable_schema = RESET",
        *(f"DROP TABLE IF EXISTS {name}" for name in sorted(shadows(table) - {index_of(table)})),
    ]


# What SQLite says where what it keeps an index in is damaged.
_DAMAGED = ("malformed", "constructor failed", "invalid fts5 file format", "SQL logic error")


def _is_done(connection: Connection, sql: str) -> bool:
    try:
        connection.execute(sql)
    except DatabaseError as error:
        # What is locked or interrupted says so.
        if not any(words in str(error) for words in _DAMAGED):
            raise
        return False
    return True


def _triggers(table: str) -> dict[str, str]:
    """By name, what keeps the index of a table true.

    They fire only where words change, or whether they are live: most updates do neither, and each
    entry costs an index more than a row costs its table. What is taken out stays in the index, out
    of sight, until that is optimized, so they note it.
    """
    index, columns = index_of(table), FULL_TEXT[table]
    names = ", ".join(columns)
    is_new, was_live = live(TABLES[table], "new"), live(TABLES[table], "old")
    add = f"INSERT INTO {index}(rowid, {names}) SELECT new.rowid, {_of('new', columns)}"
    remove = (
        f"INSERT INTO {index}({index}, rowid, {names})"
        f" SELECT 'delete', old.rowid, {_of('old', columns)} WHERE {was_live};"
        # Not OR IGNORE, which an upsert outside would overrule.
        f" INSERT INTO _pylon_unpurged SELECT '{index}' WHERE {was_live} AND NOT EXISTS"
        f" (SELECT 1 FROM _pylon_unpurged WHERE name = '{index}')"
    )
    differs = " OR ".join(f"old.{name} IS NOT new.{name}" for name in columns)
    events = {
        "insert": f"INSERT ON {table} WHEN {is_new} BEGIN {add}; END",
        "delete": f"DELETE ON {table} WHEN {was_live} BEGIN {remove}; END",
        "update": (
            f"UPDATE ON {table} WHEN ({was_live}) IS NOT ({is_new}) OR {differs}"
            f" BEGIN {remove}; {add} WHERE {is_new}; END"
        ),
    }
    return {
        f"{index}_{name}": f"CREATE TRIGGER {index}_{name} AFTER {event}"
        for name, event in events.items()
    }


def _of(row: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{row}.{name}" for name in columns)
