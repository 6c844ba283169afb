"""FreeSWITCH's table `recovery` behind one SQLite connection of ours: read what changed, put rows in, take them out.

What must hold: every transaction is short, because the switch sleeps 100 ms whenever it finds the file locked; rows
are touched in bounded batches, and what can be prepared is prepared before the lock is taken. Under the lock a batch is
one statement: the interpreter's lock is given up for each row that Python fetches, and a busy loop would have us wait
for it with the file locked. So rows go through tables of this connection alone (`batch`, `wish`). The switch's own
connection writes the log of changes, through triggers that this side installs, so no change is missed between two
looks. The log is bounded by the triggers themselves: with nobody reading, the switch's file does not grow. When the
log is not whole (bounded away, dropped, another file), everything is read again. Nothing raises for what is in the
file or in its way: `problem` says it, and the next call tries again.

One process may open the file through one connection of this kind and in no other way: closing any descriptor of it
would take away the locks of all others in the process (fcntl(2), sqlite.org/howtocorrupt.html 2.2).

Sources: switch_core_sqldb.c (schema, what is dropped at start), switch_core_db.c (its wait for a lock); measured in
bench/core_db.py.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from zcluster.adapters.core_db_statements import (
    COLUMNS,
    DROP,
    DROP_FOREIGN,
    FIND,
    LAST,
    LOAD,
    LOG,
    NEXT_AND_LAST,
    SCHEMA,
    STAGES,
    TAKE_CHANGES,
    TAKE_PAGE,
    WISH,
)
from zcluster.telephony.actions import DropForeignRows, DropRows, LoadRows
from zcluster.telephony.events import Row, RowsLoaded, RowsRefused

Wish = LoadRows | DropRows | DropForeignRows

BATCH_CHANGES = 100
PAGE_ROWS = 100
LARGEST_ROWS = 50_000
LARGEST_WISH_ROWS = 2_000
PRUNE_ENTRIES = 500
PRUNE_EVERY_S = 1.0
LOCK_WAIT_S = 0.1
LOCK_PAUSE_S = 0.005
LOCK_PATIENCE_S = 2.0
WISH_LIMIT_S = 5.0
CACHE_KIB = 32 * 1024  # more than any transaction of ours writes: a spill would lock the file before its end

_FORBIDDEN = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


class Unfit(Exception):
    """There is no database, or it is not the core database of a switch; the text says which."""


class RowsRead(NamedTuple):
    """What was written, in its order: (uuid, row), None for a deleted one. `is_all`: these are all there are."""

    changes: tuple[tuple[str, Row | None], ...]
    is_all: bool = False


class _FileIdentity(NamedTuple):
    device: int
    inode: int


class _Taken(NamedTuple):
    """`mark`: a number of the log, or a rowid, up to which we have read."""

    mark: int
    uuid: str
    row: Row | None


class CoreTable:
    """One connection, opened when the file is there, closed when it is gone or broken. For one thread."""

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self.has_more = False
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: _FileIdentity | None = None
        self._is_known = False
        self._position = 0
        self._pruned = 0
        self._prune_at_s = 0.0
        self._data_version = 0
        self._schema_version = 0
        self._locked_since_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a database to read."""
        return self._connection is not None

    def read(self) -> RowsRead | None:
        """What was written by others since the last call, None for nothing; first all there is (`is_all`).

        At most BATCH_CHANGES at a time: `has_more` says that the next call will not find nothing.
        """
        self.has_more = False
        try:
            changed = self._read()
        except (sqlite3.Error, Unfit, OSError) as error:
            self._failed(error)
            return None
        self._well()
        return changed

    def perform(self, wish: Wish) -> RowsLoaded | RowsRefused:
        """Carry a wish out, or say why not. What it writes is not told by `read`. Waits WISH_LIMIT_S for locks."""
        limit_s = time.monotonic() + WISH_LIMIT_S
        while True:
            try:
                done = self._perform(wish)
                self._well()
                return done
            except (sqlite3.Error, Unfit, OSError, UnicodeEncodeError) as error:
                if is_locked(error) and time.monotonic() < limit_s:
                    time.sleep(LOCK_PAUSE_S)
                    continue
                if not isinstance(error, UnicodeEncodeError):
                    self._failed(error)
                return RowsRefused(wish.purpose, self._words(error))

    def prune(self) -> None:
        """Take what was read out of the log, when it is worth a lock; leave it for later when somebody has it."""
        pending = self._position - self._pruned
        now_s = time.monotonic()
        if self._connection is None or not pending:
            return
        if pending < PRUNE_ENTRIES and now_s < self._prune_at_s:
            return
        until = min(self._position, self._pruned + 2 * PRUNE_ENTRIES)
        try:
            self._connection.execute(f"DELETE FROM {LOG} WHERE seq <= ?", (until,))
        except sqlite3.Error as error:
            self._failed(error)
            return
        self._pruned = until
        self._prune_at_s = now_s + PRUNE_EVERY_S

    def close(self) -> None:
        """Let go of the file; the next `read` opens it again and tells everything."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
        self._identity = None
        self._is_known = False

    def _read(self) -> RowsRead | None:
        connection = self._opened()
        version = _number(connection, "PRAGMA data_version")
        if self._is_known and version == self._data_version:
            return None
        changed = self._read_changes(connection) if self._is_known else self._read_all(connection)
        if not self.has_more:
            # Asked before the rows were read: what is written meanwhile makes the next look find it.
            self._data_version = version
        return changed

    def _opened(self) -> sqlite3.Connection:
        identity = self._present()
        if self._connection is not None and identity != self._identity:
            self.close()
        if self._connection is None:
            self._connection = _connect(self._path)
            if self._present() != identity:
                raise Unfit(f"{self._path} is being replaced")
            self._identity = identity
        return self._connection

    def _present(self) -> _FileIdentity:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            raise Unfit(
                f"there is no core database {self._path}: was the switch ever started here?"
            ) from None
        return _FileIdentity(status.st_dev, status.st_ino)

    def _read_changes(self, connection: sqlite3.Connection) -> RowsRead | None:
        if _number(connection, "PRAGMA schema_version") != self._schema_version:
            return self._read_all(connection)  # the switch has started: are the triggers still there?
        following, last = connection.execute(NEXT_AND_LAST, (self._position,)).fetchone()
        if (following or last) != (self._position + 1 if following else self._position):
            return self._read_all(connection)
        taken = _taken(connection, TAKE_CHANGES, self._position, BATCH_CHANGES) if following else []
        self._position = taken[-1].mark if taken else self._position
        self.has_more = self._position < last
        changes = tuple((each.uuid, each.row) for each in taken if each.uuid)
        return RowsRead(changes) if changes else None

    def _read_all(self, connection: sqlite3.Connection) -> RowsRead:
        """Page by page, each in its own short transaction; what changes meanwhile is in the log and told next."""
        self._is_known = False
        _install(connection)
        self._schema_version = _number(connection, "PRAGMA schema_version")
        position = _number(connection, LAST)
        rows: dict[str, Row] = {}
        rowid = -(2**63)
        while page := _taken(connection, TAKE_PAGE, rowid, PAGE_ROWS):
            rowid = page[-1].mark
            # the later row of one uuid replaces the earlier
            rows.update((each.uuid, each.row) for each in page if each.uuid and each.row)
            if len(rows) > LARGEST_ROWS:
                raise Unfit(f"{self._path} holds more than {LARGEST_ROWS} calls for recovery")
        self._position = position
        self._pruned = _number(connection, f"SELECT coalesce(min(seq) - 1, {position}) FROM {LOG}")
        self._is_known = True
        return RowsRead(tuple(rows.items()), is_all=True)

    def _perform(self, wish: Wish) -> RowsLoaded | RowsRefused:
        match wish:
            case LoadRows(purpose, rows):
                if len(rows) > LARGEST_WISH_ROWS:
                    return _too_many(purpose, len(rows))
                return self._load(purpose, rows)
            case DropRows(purpose, uuids):
                if len(uuids) > LARGEST_WISH_ROWS:
                    return _too_many(purpose, len(uuids))
                return RowsLoaded(purpose, self._drop(uuids))
            case DropForeignRows(purpose, core_uuid):
                return RowsLoaded(purpose, self._drop_foreign(core_uuid))

    def _load(self, purpose: str, rows: Sequence[Row]) -> RowsLoaded:
        wanted = {row.uuid: row for row in rows}
        with self._writing([_values(row) for row in wanted.values()]) as connection:
            connection.execute(FIND)
            count = connection.execute(LOAD).rowcount
        there = connection.execute("SELECT uuid FROM temp.wish WHERE is_there ORDER BY place").fetchall()
        return RowsLoaded(purpose, count, tuple(uuid for (uuid,) in there))

    def _drop(self, uuids: Iterable[str]) -> int:
        named = [_values(Row("", "", "", "", uuid, b"")) for uuid in uuids]
        with self._writing(named) as connection:
            return connection.execute(DROP).rowcount

    def _drop_foreign(self, core_uuid: str) -> int:
        dropped = 0
        while True:
            with self._writing([]) as connection:
                count = connection.execute(DROP_FOREIGN, (_bytes_of(core_uuid), PAGE_ROWS)).rowcount
            dropped += count
            if count < PAGE_ROWS:
                return dropped

    @contextmanager
    def _writing(self, wished: Sequence[tuple[bytes, ...]]) -> Iterator[sqlite3.Connection]:
        """A transaction whose own changes leave no trace in the log; `wished` stands in the table `wish`."""
        connection = self._opened()
        _install(connection)
        connection.execute("DELETE FROM temp.wish")
        connection.executemany(WISH, wished)
        with _transaction(connection, "BEGIN IMMEDIATE"):
            before = _number(connection, LAST)
            yield connection
            connection.execute(f"DELETE FROM {LOG} WHERE seq > ?", (before,))
            connection.execute(f"UPDATE sqlite_sequence SET seq = ? WHERE name = '{LOG}'", (before,))

    def _well(self) -> None:
        self.problem = ""
        self._locked_since_s = None

    def _failed(self, error: Exception) -> None:
        if not is_locked(error):
            self.problem = self._words(error)
            self.close()
            return
        now_s = time.monotonic()
        if self._locked_since_s is None:
            self._locked_since_s = now_s
        if now_s - self._locked_since_s >= LOCK_PATIENCE_S:
            self.problem = self._words(error)

    def _words(self, error: Exception) -> str:
        if isinstance(error, Unfit):
            return str(error)
        if is_locked(error):
            return f"{self._path} is locked by another process"
        is_forbidden = isinstance(error, PermissionError) or _code(error) in _FORBIDDEN
        mend = "; this user must be able to write the file and its directory" if is_forbidden else ""
        return f"{self._path} cannot be used: {error}{mend}"


def is_locked(error: BaseException) -> bool:
    """Whether somebody else has the file just now, so that the same will work later."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def missing_columns(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Which columns of the switch's table `recovery` are not there; all of them without a table."""
    there = {row[1] for row in connection.execute("PRAGMA table_info(recovery)").fetchall()}
    return tuple(column for column in COLUMNS if column not in there)


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: never make the file, for the switch would find an empty one of ours
    address = f"file:{quote(str(path))}?mode=rw"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=LOCK_WAIT_S)
    connection.text_factory = _text
    try:
        # The journal's mode stays the file's: it brings the file back if this process is killed in a commit.
        connection.execute("PRAGMA synchronous = OFF").fetchall()
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}").fetchall()
        connection.execute("PRAGMA temp_store = MEMORY").fetchall()
        for text in STAGES:
            connection.execute(text)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _install(connection: sqlite3.Connection) -> None:
    """Bring log and triggers to where they belong; nothing is written when they are there. Raises Unfit."""
    if _stands(connection):
        return
    with _transaction(connection, "BEGIN IMMEDIATE"):
        if missing := missing_columns(connection):
            raise Unfit(f"the core database has no column {', '.join(missing)} in a table recovery")
        for name, text in SCHEMA.items():
            kind = text.split()[1]
            connection.execute(f"DROP {kind} IF EXISTS {name}")
            connection.execute(text)


def _stands(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE 'zcluster%'").fetchall()
    there = dict(found)
    return all(there.get(name) == text for name, text in SCHEMA.items())


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _taken(connection: sqlite3.Connection, statement: str, after: int, limit: int) -> list[_Taken]:
    """What the statement puts into the table `batch`, by its mark. The file is locked for that statement alone."""
    connection.execute("DELETE FROM temp.batch")
    connection.execute(statement, (after, limit))
    return [
        _Taken(mark, key or "", None if fields[4] is None else _row(fields))
        for mark, key, *fields in connection.execute("SELECT * FROM temp.batch ORDER BY mark").fetchall()
    ]


def _row(fields: Sequence[object]) -> Row:
    *texts, metadata = fields
    runtime_uuid, technology, profile, hostname, uuid = ("" if text is None else str(text) for text in texts)
    return Row(
        runtime_uuid,
        technology,
        profile,
        hostname,
        uuid,
        metadata if isinstance(metadata, bytes) else b"",
    )


def _values(row: Row) -> tuple[bytes, ...]:
    texts = (row.runtime_uuid, row.technology, row.profile, row.hostname, row.uuid)
    return (*(_bytes_of(text) for text in texts), row.metadata)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _code(error: BaseException) -> int:
    """SQLite's primary result code, 0 for an error of another kind."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0


def _number(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])


def _too_many(purpose: str, count: int) -> RowsRefused:
    return RowsRefused(purpose, f"{count} rows at once are more than {LARGEST_WISH_ROWS}")
