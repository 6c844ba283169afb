"""The log in the journal of a real systemd-journald, in a mount and process namespace of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zcluster.codes.entry import message_id

JOURNALD = Path("/usr/lib/systemd/systemd-journald")
TOOLS = JOURNALD.exists() and shutil.which("journalctl") is not None and shutil.which("unshare") is not None

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not TOOLS, reason="systemd-journald, journalctl and unshare are needed"),
]

WRITE = """
import sys
from zcluster.adapters.journal import Record
from zcluster.adapters.log import open_log
facts = {"group": "blue", "epoch": 4, "text": "two\\nlines \\u00e9"}
log = open_log("journal", sys.stderr, {})
log.write(Record(1, "n1", "warning", "lease-lapsed", "blue: two\\n lines", facts, 7, 3))
log.close()
"""
SCRIPT = """
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log/journal
"$1" 2>/dev/null & journald=$!
for turn in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
"$2" -c "$3"
for turn in $(seq 100); do
    found=$(journalctl -q --directory="$(echo /run/log/journal/*)" -o json --no-pager SYSLOG_IDENTIFIER=zcluster)
    [ -n "$found" ] && break; sleep 0.1
done
echo "$found"
kill $journald; wait $journald
"""


def test_journald_keeps_every_field() -> None:
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", SCRIPT, "bash"]
    done = subprocess.run(
        [*command, str(JOURNALD), sys.executable, WRITE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip(), done.stderr
    entry = json.loads(done.stdout)
    facts = json.loads(entry.pop("ZCLUSTER_FACTS"))
    assert facts == {"group": "blue", "epoch": 4, "text": "two\nlines \u00e9"}
    assert {key: value for key, value in entry.items() if key.startswith("ZCLUSTER_")} == {
        "ZCLUSTER_CODE": "lease-lapsed",
        "ZCLUSTER_LEVEL": "warning",
        "ZCLUSTER_NODE": "n1",
        "ZCLUSTER_GROUP": "blue",
        "ZCLUSTER_EPOCH": "4",
        "ZCLUSTER_INCARNATION": "7",
        "ZCLUSTER_NUMBER": "3",
    }
    assert (entry["MESSAGE"], entry["PRIORITY"]) == ("lease-lapsed: blue: two lines", "4")
    assert (entry["MESSAGE_ID"], entry["_TRANSPORT"]) == (message_id("lease-lapsed"), "journal")


def test_journalctl_reads_the_catalogue(tmp_path: Path) -> None:
    catalogue = Path(__file__).parents[2] / "packaging" / "systemd" / "zcluster.catalog"
    for folder in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(catalogue, tmp_path / "usr/lib/systemd/catalog")
    subprocess.run(["journalctl", f"--root={tmp_path}", "--update-catalog"], check=True, timeout=60)
    asked = ["journalctl", f"--root={tmp_path}", "--dump-catalog", message_id("gate-failed")]
    shown = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Subject: gate-failed on @ZCLUSTER_NODE@" in shown
    assert "If you cannot log in there, power it off." in shown
