"""The words in which a switch's core database is spoken to: its table, our log of changes, and each statement.

What must hold: the triggers bound the log by themselves, and each batch is one statement (`core_db_table` says why).
Values are parameters, never part of a text.
"""

from __future__ import annotations

LARGEST_LOG_ENTRIES = 65_536

LOG = "zcluster_changes"
_BOUND = f"DELETE FROM {LOG} WHERE seq <= last_insert_rowid() - {LARGEST_LOG_ENTRIES};"
# Kept word for word by SQLite, so that a text that differs is another version's.
SCHEMA = {
    LOG: f"CREATE TABLE {LOG} (seq INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT)",
    "zcluster_insert": (
        "CREATE TRIGGER zcluster_insert AFTER INSERT ON recovery BEGIN "
        f"INSERT INTO {LOG} (uuid) VALUES (NEW.uuid); {_BOUND} END"
    ),
    "zcluster_update": (
        "CREATE TRIGGER zcluster_update AFTER UPDATE ON recovery BEGIN "
        f"INSERT INTO {LOG} (uuid) SELECT OLD.uuid WHERE OLD.uuid IS NOT NEW.uuid; "
        f"INSERT INTO {LOG} (uuid) VALUES (NEW.uuid); {_BOUND} END"
    ),
    "zcluster_delete": (
        "CREATE TRIGGER zcluster_delete AFTER DELETE ON recovery BEGIN "
        f"INSERT INTO {LOG} (uuid) VALUES (OLD.uuid); {_BOUND} END"
    ),
}
COLUMNS = ("runtime_uuid", "technology", "profile_name", "hostname", "uuid", "metadata")

STAGES = (
    f"CREATE TEMP TABLE batch (mark INTEGER, key, {', '.join(COLUMNS)})",
    f"CREATE TEMP TABLE wish (place INTEGER PRIMARY KEY, {', '.join(COLUMNS)}, is_there)",
)
_LIST = ", ".join(COLUMNS)
_FIELDS = "r.runtime_uuid, r.technology, r.profile_name, r.hostname, r.uuid, CAST(r.metadata AS BLOB)"
# Of two rows of one uuid the later one counts: a call that was recovered writes its own beside the one loaded for it.
TAKE_CHANGES = (
    f"INSERT INTO temp.batch SELECT c.seq, c.uuid, {_FIELDS} FROM "
    f"(SELECT max(seq) AS seq, uuid FROM (SELECT seq, uuid FROM {LOG} WHERE seq > ? ORDER BY seq LIMIT ?) "
    "GROUP BY uuid) AS c "
    "LEFT JOIN recovery AS r ON r.rowid = (SELECT max(rowid) FROM recovery WHERE uuid = c.uuid)"
)
TAKE_PAGE = (
    f"INSERT INTO temp.batch SELECT r.rowid, r.uuid, {_FIELDS} FROM recovery AS r "
    "WHERE r.rowid > ? ORDER BY r.rowid LIMIT ?"
)
LAST = f"SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '{LOG}'"
NEXT_AND_LAST = f"SELECT (SELECT min(seq) FROM {LOG} WHERE seq > ?), ({LAST})"
WISH = (
    f"INSERT INTO temp.wish ({_LIST}) VALUES "
    f"({', '.join('CAST(? AS TEXT)' for _ in COLUMNS)})"  # bytes in, the same bytes as TEXT in the file
)
FIND = "UPDATE temp.wish SET is_there = EXISTS (SELECT 1 FROM recovery AS r WHERE r.uuid = wish.uuid)"
LOAD = f"INSERT INTO recovery ({_LIST}) SELECT {_LIST} FROM temp.wish WHERE NOT is_there ORDER BY place"
DROP = "DELETE FROM recovery WHERE uuid IN (SELECT uuid FROM temp.wish)"
DROP_FOREIGN = (
    "DELETE FROM recovery WHERE rowid IN "
    "(SELECT rowid FROM recovery WHERE runtime_uuid IS NOT CAST(? AS TEXT) LIMIT ?)"
)
