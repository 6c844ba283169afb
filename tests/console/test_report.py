"""A report as an operator makes it at night: whole, without keys, and honest about what is missing."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as some

from tests.config.texts import GROUP, RING, SERVICE, accepted
from tests.console.pages import page
from tests.tools.bus_stage import SECRET, BusStage
from tests.tools.small_daemon import NODE
from zcluster.adapters.control_socket import ControlSocket
from zcluster.adapters.journal import Journal, Record
from zcluster.cli import commands
from zcluster.config.keyfile import parse_key, write_key
from zcluster.config.schema import ClusterTable, SwitchTable
from zcluster.config.values import AbsolutePath
from zcluster.console.report_parts.elsewhere import pieces, told_of
from zcluster.console.report_parts.evidence import LARGEST_TEXT_BYTES, piece, text
from zcluster.console.report_parts.peers import Answers, places_of
from zcluster.console.report_parts.redaction import Redaction, secrets_of
from zcluster.errors import ZclusterError
from zcluster.recording.segments import HEADER, Frame, SegmentWriter

PASSWORD = "event-socket-pass#9"
NOW_MS = time.time_ns() // 1_000_000
LOST = "a call of +4930111222 to 1001 is lost: no record"


class Host:
    """A host's files: key, password, state and the file that names them."""

    def __init__(self, root: Path, more: str = "") -> None:
        self.key_path, self.password_path = root / "cluster.key", root / "event-socket.password"
        self.config, self.socket = root / "zcluster.toml", root / "control.sock"
        write_key(self.key_path)
        self.key = self.key_path.read_text().strip()
        self.password_path.write_text(f"{PASSWORD}\n")
        self.password_path.chmod(0o600)
        cluster = f"""
[cluster]
name = "pbx"
expected-nodes = 3
key-file = "{self.key_path}"
state-dir = "{root}"
run-dir = "{root}"
recording = "on"
[switch]
event-socket = "127.0.0.1:1"
password-file = "{self.password_path}"
"""
        self.config.write_text(cluster + RING + SERVICE + GROUP + more)
        self.journal = Journal(root)
        self.out = root / "out.tar.gz"

    def report(self, *options: str) -> tuple[int, str]:
        words = ["report", "--config", str(self.config), "--socket", str(self.socket), "--out", str(self.out)]
        done = CliRunner().invoke(commands, [*words, *options])
        return done.exit_code, done.output

    def files(self) -> dict[str, bytes]:
        """What is in the archive, without the name of its folder."""
        with tarfile.open(self.out) as archive:
            found = {}
            for entry in archive.getmembers():
                assert entry.isfile()
                assert entry.mode == 0o600
                file = archive.extractfile(entry)
                assert file is not None
                found[entry.name.partition("/")[2]] = file.read()
        return found


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.journal.close()


def record(
    told: str, node: str = "n2", code: str = "silent", at_ms: int = NOW_MS - 1000, **facts: Any
) -> Record:
    return Record(at_ms, node, "notice", code, told, facts)


@contextmanager
def answering(path: Path, answers: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """A daemon's socket that answers each `ask` from a table."""
    door, is_ending = ControlSocket(path), threading.Event()

    def serve() -> None:
        while not is_ending.wait(0.01):
            for asked in door.receive():
                door.answer(asked.client, answers.get(str(asked.body.get("ask")), {"error": "?"}))
        door.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        is_ending.set()
        thread.join()


def secret_forms(host: Host) -> list[bytes]:
    raw = parse_key(host.key.encode())
    return [host.key.encode(), host.key[5:].encode(), raw, raw.hex().encode(), PASSWORD.encode()]


def plant_everywhere(host: Host) -> None:
    """A secret where it may stand, and in each place to which a mishap could carry it."""
    raw = parse_key(host.key.encode())
    with host.config.open("a") as file:
        file.write(f"# the key is {host.key}, and of the switch {PASSWORD}\n")
    host.journal.append(
        [
            record(f"somebody typed {PASSWORD}"),
            record(
                "the key in hex",
                key=raw.hex(),
                note=host.key,
                deep={"list": [base64.b64encode(raw).decode()]},
            ),
        ]
    )
    writer = SegmentWriter(host.config.parent / "recording")
    writer.begin(Frame(HEADER, b"before " + raw + b" after"))
    writer.close()


def test_no_secret_is_anywhere_in_the_archive(host: Host) -> None:
    plant_everywhere(host)
    status = {**page(), "cluster": PASSWORD}
    why = {"schema": "zcluster.why/1", "records": [record(host.key).plain()]}
    with answering(host.socket, {"status": status, "why": why}):
        assert host.report()[0] == 0
    whole = b"\0".join(host.files().values())
    unpacked = io.BytesIO(host.out.read_bytes()).getvalue()
    for secret in secret_forms(host):
        assert secret not in whole
        assert secret not in unpacked
    assert b"[secret removed]" in host.files()["node/journal.jsonl"]
    assert b"event-socket.password" in host.files()["node/zcluster.toml"], "the path is no secret"
    readme = host.files()["README.txt"].decode()
    assert "where one stood all the same" in " ".join(readme.split())
    assert "a secret stands in it, so it was left out" in " ".join(readme.split())


def test_the_same_secrets_are_found_where_nothing_cleans_them(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail."""
    plant_everywhere(host)
    monkeypatch.setattr(Redaction, "clean", lambda _self, content: content)
    monkeypatch.setattr(Redaction, "holds_secret", lambda _self, _content: False)
    host.report()
    whole = b"\0".join(host.files().values())
    assert host.key.encode() in whole
    assert PASSWORD.encode() in whole


def test_a_password_that_stands_in_the_file_itself_goes_too(host: Host) -> None:
    for line in ('password = "hunter#22"', "password = 'hunter#22'", 'tokens = [\n  "hunter#22",\n]'):
        host.config.write_text(f'[tools]\n{line}\nhook = "https://hooks.example.net/T0/hunter#22?a=b"\n')
        assert host.report()[0] == 0
        assert b"hunter#22" not in b"".join(host.files().values())
        assert b"https://hooks.example.net/" in host.files()["node/zcluster.toml"]
        host.out.unlink()


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter22@hooks.example.net",
        "https://user:hunter22@hooks.example.net/",
        "https://user:hunter/hunter22@hooks.example.net:8443",
        "https://hooks.example.net/T0/hunter22",
        "HTTPS://hooks.example.net/T0/hunter22",
        "hooks.example.net/T0/hunter22",
        "ftp://hooks.example.net/hunter22",
        "https://hooks.example.net/hunter22#part",
        "https://hooks.example.net:port/hunter22",
        "https://hooks.example.net?hunter22 x",
        "https:/hooks.example.net/hunter22",
        "https://-/hunter22",
        "https://[::1/hunter22",
    ],
)
def test_what_is_secret_in_the_url_of_a_hook_goes_however_it_is_written(host: Host, url: str) -> None:
    host.config.write_text(f'[[hook]]\nname = "page"\nurl = "{url}"\n')
    assert host.report()[0] == 0
    assert b"hunter22" not in b"".join(host.files().values())


def test_in_the_file_secrets_are_paths() -> None:
    """By design it holds none: what sounds like one is the path of a file."""
    secret_keys = [
        (name, field)
        for table in (ClusterTable, SwitchTable)
        for name, field in table.model_fields.items()
        if "key" in name or "password" in name
    ]
    assert {name for name, _ in secret_keys} == {"key_file", "password_file"}
    for _, field in secret_keys:
        assert "Path" in str(field.rebuild_annotation())
    assert AbsolutePath is not None


def test_without_a_file_the_readme_says_what_mends_it_in_a_sentence_of_its_own(host: Host) -> None:
    host.config.unlink()
    assert host.report()[0] == 0
    readme = host.files()["README.txt"].decode()
    (line,) = [each for each in readme.splitlines() if "node/zcluster.toml: " in each]
    assert "No such file or directory; mend: `zcluster init" in line


def test_with_a_dead_daemon_it_takes_what_stands_in_files_and_says_so(host: Host) -> None:
    host.journal.append(
        [record("n3 fell silent", node="n1"), record("started", node="n3"), record("old", at_ms=5)]
    )
    status, output = host.report("--since", "2h")
    assert status == 0
    assert "did not answer" in output
    files = host.files()
    assert files["node/journal.jsonl"].count(b"\n") == 2
    assert {"node/zcluster.toml", "node/check.txt", "node/doctor.txt", "host/interfaces.txt"} <= set(files)
    assert b"started" in files["other-nodes/n3/told.jsonl"]
    readme = files["README.txt"].decode()
    assert "The daemon of this host did not answer" in readme
    assert "node/status.txt: no daemon listens at" in readme
    assert "n3: did not answer: " in readme
    for name in files.keys() - {"README.txt"}:
        assert name in readme


def test_with_a_daemon_its_pages_are_there(host: Host) -> None:
    why = {"schema": "zcluster.why/1", "records": [record("n2 fell silent").plain()]}
    with answering(host.socket, {"status": page(), "why": why}):
        status, output = host.report("--json")
    assert status == 0
    told = json.loads(output)
    assert (told["schema"], told["daemon"]) == ("zcluster.report/1", "answered")
    assert {"node/journal.jsonl", "node/counts.json"} <= {each["part"] for each in told["missing"]}
    files = host.files()
    assert b"All 3 groups are held" in files["node/status.txt"]
    assert json.loads(files["node/status.json"])["cluster"] == "office"
    assert b"n2 fell silent" in files["node/why.txt"]
    assert json.loads(files["other-nodes/n2/known-here.json"])["name"] == "n2"
    assert {each["name"] for each in told["nodes"]} == {"n2", "n3", "n4", "n5"}


@pytest.mark.parametrize("is_wanted", [False, True])
def test_numbers_of_callers_leave_only_when_they_are_asked_for(host: Host, is_wanted: bool) -> None:
    host.journal.append([record(LOST, code="call-lost", caller="+4930111222", callee="1001", uuid="u-1")])
    row = {"caller": "+4930111222", "callee": "1001"}
    counts = {"total": 1, "by": {"node": {"n1": 1}}}
    answers = {
        name: {"schema": f"zcluster.{name}/1", "rows": [row], "next": "", "node": "n1", **counts}
        for name in ("registrations", "calls", "lost", "limits")
    }
    with answering(host.config.with_name("data.sock"), answers):
        assert host.report(*(["--with-calls"] if is_wanted else []))[0] == 0
    files = host.files()
    assert (b"+4930111222" in b"".join(files.values())) is is_wanted
    assert json.loads(files["node/counts.json"])["calls"]["total"] == 1
    assert ("node/calls.json" in files) is is_wanted
    assert b"u-1" in files["node/journal.jsonl"]
    assert b"is lost: no record" in files["node/journal.jsonl"]


def test_a_recording_is_taken_up_to_its_bound_the_newest_first(host: Host) -> None:
    writer = SegmentWriter(host.config.parent / "recording")
    for _ in range(3):
        writer.begin(Frame(HEADER, os.urandom(700_000)))
    writer.close()
    assert host.report("--recording", "1")[0] == 0
    assert [name for name in host.files() if ".zrec" in name] == ["node/recording/00000003.zrec"]
    host.out.unlink()
    assert host.report("--recording", "0")[0] == 0
    assert not [name for name in host.files() if ".zrec" in name]


def test_it_is_its_owners_alone_and_replaces_nothing(host: Host) -> None:
    assert host.report()[0] == 0
    assert host.out.stat().st_mode & 0o777 == 0o600
    before = host.out.read_bytes()
    refused = CliRunner().invoke(commands, ["report", "--config", str(host.config), "--out", str(host.out)])
    assert isinstance(refused.exception, ZclusterError)
    assert "there is a file already" in str(refused.exception)
    status, output = host.report("--json")
    assert (status, json.loads(output)["ok"]) == (1, False)
    assert host.out.read_bytes() == before
    assert not list(host.out.parent.glob("*.part"))


def test_a_defect_in_one_part_costs_no_other() -> None:
    def broken() -> str:
        raise KeyError("nodes")

    made = piece("node/status.txt", "status", broken)
    assert made.path == "node/status.txt.defect.txt"
    assert b"KeyError" in (made.content or b"")


def test_a_long_text_keeps_its_end() -> None:
    made = text("host/log.txt", "log", b"a" * LARGEST_TEXT_BYTES + b"the end")
    assert made.content is not None
    assert made.content.endswith(b"the end")
    assert made.content.startswith(b"(the first 7 bytes are left out)")


def test_names_from_the_network_are_no_paths() -> None:
    hostile = "../../etc/cron.d/x"
    (made,) = pieces([hostile], {}, [record("x", node=hostile)], {})
    assert made.path == "other-nodes/______etc_cron_d_x/told.jsonl"


def test_who_did_not_answer_is_said_with_the_reason() -> None:
    heard = [Answers("10.0.0.3", "n3", {"node": "n3"}, {}, ""), Answers("10.0.0.4", "", {}, {}, "no answer")]
    found, answers = told_of(["n2", "n3"], heard)
    assert [(each.node, bool(each.reason)) for each in found] == [("n2", True), ("n3", False)]
    assert "10.0.0.4: no answer" in found[0].reason
    assert set(answers) == {"n3"}


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B014D0A:A2C4 0C014D0A:1E15 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
   1: 0B094D0A:A2C4 0C094D0A:1E15 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
   2: 0B094D0A:A2C4 0D094D0A:1E16 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
   3: 0B094D0A:A2C4 0E094D0A:0016 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
   4: 00000000:1E15 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
"""


def test_other_nodes_are_found_where_the_daemon_is_connected_and_their_bus_listens(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    table.write_text(TCP)
    text = '[cluster]\nname = "a"\nexpected-nodes = 3\n' + RING + SERVICE + GROUP
    found = accepted(text + '[tools]\nlisten = ["service"]\n')
    assert places_of(found, [table, tmp_path / "none"]) == ["10.77.9.12", "10.77.9.13"]
    with pytest.raises(ZclusterError, match="listens on no network"):
        places_of(accepted(text + '[tools]\nlisten = ["loopback"]\n'), [table])


@pytest.mark.slow
def test_another_node_is_asked_over_its_bus_and_one_that_is_not_there_is_named(
    host: Host, tmp_path: Path
) -> None:
    run_dir = tmp_path / "bus"
    run_dir.mkdir()
    host.key_path.write_text(f"zck1:{base64.b64encode(SECRET).decode()}\n")
    stage = BusStage(run_dir)
    with host.config.open("a") as file:
        file.write(f'[tools]\nport = {stage.port}\nreaders = ["grafana"]\n')
    host.journal.append([record("began", node=NODE), record("began", node="n3")])
    try:
        status, output = host.report("--ask", "127.0.0.1", "--ask", "127.0.0.2", "--json")
    finally:
        stage.close()
    assert status == 0
    told = {each["name"]: each["why_not"] for each in json.loads(output)["nodes"]}
    assert told[NODE] == ""
    assert "127.0.0.2" in told["n3"]
    files = host.files()
    assert json.loads(files[f"other-nodes/{NODE}/status.json"])["node"] == NODE
    assert b"did not answer" in files["README.txt"]


secrets = some.binary(min_size=8, max_size=40).filter(lambda each: each.strip() == each)


@given(secrets, some.lists(some.binary(max_size=30), min_size=1, max_size=5))
def test_whatever_stands_around_it_a_secret_goes(secret: bytes, around: list[bytes]) -> None:
    cleaned = Redaction({"/file": secret + b"\n"}, keeps_calls=True).clean(secret.join([b"", *around, b""]))
    assert secret not in cleaned.replace(b"[secret removed]", b"\n")


def test_the_well_known_password_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text("ClueCon\n")
    known = secrets_of(f'[switch]\npassword-file = "{path}"\n'.encode())
    assert Redaction(known, keeps_calls=True).clean(b"password ClueCon") == b"password ClueCon"


@pytest.mark.parametrize(
    ("password", "why"), [("pbx", "is also a name"), ("tiny#1", "shorter than 8"), (PASSWORD, "")]
)
def test_a_password_that_is_an_ordinary_word_is_said(tmp_path: Path, password: str, why: str) -> None:
    host = Host(tmp_path)
    host.password_path.write_text(f"{password}\n")
    status, said = host.report()
    assert status == 0
    readme = host.files()["README.txt"]
    for told in (said, readme.decode()):
        words = " ".join(told.split())
        assert ("is an ordinary word" in words) is bool(why)
        assert why in words
