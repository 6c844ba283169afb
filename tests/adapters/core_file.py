"""FreeSWITCH's side of its core database, as switch_core_sqldb.c and switch_core_db.c do it.

Run as a program, it is a writer beside ours: `core_file.py PATH SEED OPERATIONS` inserts, updates and deletes rows of
`recovery` in small exclusive transactions, sleeping 100 ms whenever the file is locked; at the end it prints how
often that was and how many operations it did.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from pathlib import Path

COLUMNS = "runtime_uuid, technology, profile_name, hostname, uuid, metadata"
SCHEMA = (
    "CREATE TABLE recovery (\n   runtime_uuid    VARCHAR(255),\n   technology      VARCHAR(255),\n"
    "   profile_name    VARCHAR(255),\n   hostname        VARCHAR(255),\n   uuid            VARCHAR(255),\n"
    "   metadata        text\n);\n",
    "create index recovery1 on recovery(technology)",
    "create index recovery2 on recovery(profile_name)",
    "create index recovery3 on recovery(uuid)",
    "create index recovery4 on recovery(runtime_uuid)",
)
VOLATILE = (
    "create table channels (uuid VARCHAR(256), hostname VARCHAR(256))",
    "create table calls (call_uuid VARCHAR(255), hostname VARCHAR(256))",
    "create table interfaces (type VARCHAR(128), name VARCHAR(1024), hostname VARCHAR(256))",
)
LIFE = "5d0a8c1e-0000-4000-8000-00000000000a"
RETRY_S = 0.1
RETRIES = 300


class Switch:
    """One life of a switch: its connection, its uuid."""

    def __init__(self, path: Path, life: str = LIFE) -> None:
        self.life = life
        self.retries = 0
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        for pragma in ("synchronous=OFF", "count_changes=OFF", "temp_store=MEMORY", "journal_mode=OFF"):
            self.run(f"PRAGMA {pragma}")

    def start(self) -> Switch:
        """What it does to its tables when it starts."""
        for table in ("channels", "calls", "interfaces"):
            self.run(f"drop table if exists {table}")
        if not self.run("select 1 from sqlite_master where name = 'recovery'"):
            for text in SCHEMA:
                self.run(text)
        for text in VOLATILE:
            self.run(text)
        return self

    def answer(self, uuid: str, metadata: str, profile: str = "sip1") -> None:
        fields = (self.life, "sofia", profile, "fsA", uuid, metadata)
        self.run(f"insert into recovery ({COLUMNS}) values (?, ?, ?, ?, ?, ?)", fields)

    def update(self, uuid: str, metadata: str) -> None:
        self.run("update recovery set metadata = ? where uuid = ?", (metadata, uuid))

    def hang_up(self, uuid: str) -> None:
        self.run("delete from recovery where uuid = ?", (uuid,))

    def recover(self, profile: str = "sip1") -> list[str]:
        """The uuids of all that it would call again; their rows are gone."""
        where = "from recovery where technology = 'sofia' and runtime_uuid != ? and profile_name = ?"
        found = self.run(f"select uuid {where}", (self.life, profile))
        self.run(f"delete {where}", (self.life, profile))
        return [str(row[0]) for row in found]

    def rows(self) -> dict[str, tuple[object, ...]]:
        """Every row by its uuid, metadata as bytes; of two rows the later."""
        found = self.run(
            "select runtime_uuid, technology, profile_name, hostname, uuid, cast(metadata as blob) "
            "from recovery order by rowid"
        )
        return {str(row[4]): row for row in found}

    def run(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        for _ in range(RETRIES):
            try:
                return self.connection.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                self.retries += 1
                time.sleep(RETRY_S)
        raise TimeoutError("locked for 30 s: FreeSWITCH would have lost this write")


def main(path: Path, seed: int, operations: int) -> None:
    chance = random.Random(seed)
    switch = Switch(path)
    alive: list[str] = []
    number = done = 0
    while done < operations:
        switch.run("BEGIN EXCLUSIVE")
        for _ in range(chance.randint(1, 8)):
            wanted = chance.random()
            if wanted < 0.4 or not alive:
                number += 1
                alive.append(f"call-{seed}-{number}")
                switch.answer(alive[-1], f"<cdr n='{done}'>" + "x" * 9_800)
            elif wanted < 0.75:
                switch.update(chance.choice(alive), f"<cdr n='{done}'>" + "y" * 9_800)
            else:
                switch.hang_up(alive.pop(chance.randrange(len(alive))))
            done += 1
        switch.run("COMMIT")
        time.sleep(0.001)
    print(switch.retries, done)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
