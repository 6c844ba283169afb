"""The core database of the switch: is it there, is it the one in the file, is it this switch's alone?

What must hold: a database that another host can reach is an error, with the reason.
"""

from __future__ import annotations

from pathlib import Path

from zcluster.adapters.core_db_place import (
    CoreDbLook,
    look_into,
    network_filesystem,
    path_of,
    refusal_of_dsn,
)
from zcluster.config.configuration import SwitchSettings
from zcluster.console.doctor_checks import switch_files
from zcluster.console.doctor_checks.access import Person, may_write
from zcluster.console.doctor_checks.finding import Finding, error, good, unknown, warning
from zcluster.console.doctor_checks.questions import SwitchAnswers
from zcluster.console.words import counted, listed, printable

SUBJECT = "core database"
OWN_FILE = "take core-db-dsn out of switch.conf.xml; core-db-name may name a file on a disk or in memory of this host"


def findings(switch: SwitchSettings, answers: SwitchAnswers, who: Person | None) -> list[Finding]:
    """What is wrong with it, looking at the file and at what the switch says about it; `who` must write it."""
    settings = switch_files.parameters(switch_files.parsed(answers.texts.get("switch.conf", "")))
    dsn = settings.get("core-db-dsn") or ""
    if refusal := refusal_of_dsn(dsn):
        return [error(SUBJECT, printable(refusal), OWN_FILE)]
    found = []
    directory = answers.texts.get("db_dir", "").strip()
    if settings and directory.startswith("/"):
        found += _same_place(switch.core_db, path_of(dsn, settings.get("core-db-name", ""), directory))
    try:
        kind = network_filesystem(switch.core_db)
    except OSError as problem:
        kind = ""
        found.append(unknown(SUBJECT, f"where {switch.core_db} is cannot be seen: {problem}"))
    if kind:
        words = (
            f"{switch.core_db} is on a filesystem that other hosts can have too ({kind}): with one file for two "
            "switches, recover would take the live calls of the other masters, and delete them"
        )
        return [*found, error(SUBJECT, words, OWN_FILE)]
    return [*found, *judged(switch.core_db, look_into(switch.core_db)), *_permissions(switch.core_db, who)]


def judged(path: Path, seen: CoreDbLook) -> list[Finding]:
    """What stands in the file, in findings."""
    if seen.problem:
        mend = "start the switch once; core-db in [switch] must name its core.db, readable to this user"
        return [error(SUBJECT, printable(seen.problem), mend)]
    if seen.missing:
        words = f"{path} has no {listed(seen.missing)} in a table recovery: this is no core database of FreeSWITCH"
        return [error(SUBJECT, words, "name the switch's core.db as core-db in [switch]")]
    if len(seen.hosts) > 1:
        words = f"{path} is written by several switches ({printable(listed(seen.hosts))}): recover would take all calls"
        return [error(SUBJECT, words, OWN_FILE)]
    following = "changes are logged for the cluster" if seen.is_logged else "no node has followed it yet"
    return [good(SUBJECT, f"{path}: {counted(seen.rows, 'call leg')} for recovery; {following}")]


def _permissions(path: Path, who: Person | None) -> list[Finding]:
    """Whether the daemon's user may write there: SQLite makes its journal in the same directory."""
    if who is None:
        return []  # nobody runs, and there is no such user: the daemon will run as somebody else
    try:
        closed = [place for place in (path, path.parent) if not may_write(place, who)]
    except OSError:
        return []  # no file, which was said
    if not closed:
        return []
    unseen = "" if who.is_running else " (SupplementaryGroups= of a unit that does not run are not seen)"
    words = f"the daemon's user {who.name} may not write {listed([str(place) for place in closed])}{unseen}"
    mend = (
        "take the drop-ins of packaging/systemd/beside-freeswitch: SupplementaryGroups= and "
        f"ReadWritePaths={path.parent} for zcluster, UMask=0007 for the switch; then chmod 2770 {path.parent} and "
        f"chmod 660 {path}"
    )
    return [warning(SUBJECT, words, mend)]


def _same_place(configured: Path, used: Path) -> list[Finding]:
    if configured.resolve() == used.resolve():
        return []
    words = f"the switch writes {printable(str(used))}, but core-db in [switch] is {configured}"
    return [warning(SUBJECT, words, "name the same file in both")]
