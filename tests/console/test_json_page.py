"""docs/json.md against what is printed: each schema's keys are those of documents that the real code makes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.console.test_watch import EVENTS
from tests.control.cluster import Cluster, settings
from tests.data.fakes import Host, free_ports, introduce, until
from zcluster.adapters.control_socket import ControlSocket, Request
from zcluster.adapters.journal import Record
from zcluster.codes.catalogue import CATALOGUE
from zcluster.config.host import host_facts
from zcluster.config.load import read
from zcluster.console import check, doctor, explain, report, roster, wish
from zcluster.console.doctor_checks.finding import Finding, Level
from zcluster.console.lists import Listed, as_json
from zcluster.console.report_parts.elsewhere import Elsewhere
from zcluster.console.report_parts.evidence import Piece
from zcluster.console.report_parts.node import Daemon
from zcluster.console.watch.events import plain
from zcluster.control.document import Freeze, Pin
from zcluster.control.view import LinkView, View, view
from zcluster.data.copies import ReplicatedCopies
from zcluster.data.listing import Listing
from zcluster.data.questions import Answers
from zcluster.data.questions import Questions as DataQuestions
from zcluster.data.rows import row_makers
from zcluster.lab.result import Result
from zcluster.lab.telephones import CallCount
from zcluster.simulator import command, continuation_command, exhaustive_command
from zcluster.simulator.campaign import Tally
from zcluster.simulator.exhaustive import Findings
from zcluster.streams.events import GroupWon, RecordsChanged
from zcluster.streams.replicator import Replicator
from zcluster.streams.tables import Entry
from zcluster.streams.units import CALLS, REGISTRATIONS, record_key
from zcluster.supervisor.data_words import DataFacts
from zcluster.supervisor.differences import Warned
from zcluster.supervisor.questions import Questions
from zcluster.supervisor.status import LinkFacts, Surroundings, status_of
from zcluster.supervisor.story import Story
from zcluster.supervisor.tools_child import ToolsFacts
from zcluster.telephony.call_record import CallRecord, pack_call
from zcluster.telephony.events import Moment
from zcluster.telephony.limit_sums import Count
from zcluster.telephony.limits import LimitRow
from zcluster.telephony.lost_calls import LostCall
from zcluster.telephony.registration_rows import RegistrationRow
from zcluster.telephony.settings import TelephonySettings
from zcluster.wire.local_link import Completeness

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
TOLD = Record(1, "n1", "notice", "takeover", "text", {"group": "blue", "epoch": 4}, 7, 1)
Documents = list[Mapping[str, Any]]


# ---- the page


def documented() -> dict[str, set[str]]:
    """The keys that the page names, by the heading of their section."""
    found: dict[str, set[str]] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        rows = re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
        found[title.strip()] = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    return found


PAGES = documented()


def keys_of(value: object, path: str, known: set[str]) -> Iterator[str]:
    """The paths of leaves, as the page writes them; the keys of what it calls open (`x{}`) are names."""
    match value:
        case dict() if f"{path}{{}}" in known:
            yield f"{path}{{}}"
        case dict() if value:
            is_open = any(key.startswith(f"{path}{{}}.") for key in known)
            for key, inner in value.items():
                below = f"{path}{{}}" if is_open else f"{path}.{key}" if path else key
                yield from keys_of(inner, below, known)
        case list() if value and isinstance(value[0], dict):
            for inner in value:
                yield from keys_of(inner, f"{path}[]", known)
        case list():
            yield f"{path}[]"
        case _:
            yield path


def leaves(keys: set[str]) -> set[str]:
    """Without what is null or empty in one document and has an inside in another."""
    return {
        key
        for key in keys
        if not any(other.startswith((f"{key}.", f"{key}[].", f"{key}{{}}")) for other in keys)
    }


# ---- the documents


def whole_view() -> View:
    """A view in which nothing is empty."""
    found = view(Cluster(settings(2, 1), ("a", "b")).nodes["a"], 0)
    own = replace(found.nodes[0], holds=("g1",), unready=("x",))
    nodes = (own, replace(own, name="b", links=(LinkView("hb1", 3, 0),)))
    return replace(
        found,
        nodes=nodes,
        roster=("a",),
        slaves=("b",),
        forgotten=("c",),
        pins=(Pin("g1", "a"),),
        own_links=(("hb1", True),),
        cluster_id="a-1",
        freeze=Freeze("why", "me", "a", 1, 2, (Pin("g1", "a"),), is_firm=True),
    )


def status_document(data: DataFacts | None = None) -> Mapping[str, Any]:
    around = Surroundings(
        version="1",
        incarnation=7,
        up_ms=1,
        wall_ms=1,
        silence_ms=200,
        is_observing=False,
        links=(LinkFacts("hb1", "eth0", "10.0.0.1", is_service=False),),
        notices=("memory was not locked",),
        warnings=(Warned("warning", "link-broken", "text"),),
        counters={"turns": 1},
        data=data,
        tools=ToolsFacts(1, 0) if data else None,
    )
    return status_of(whole_view(), around, Story((TOLD,)))


def statuses() -> Documents:
    copies = Completeness((("b", 100),), False, "x")
    return [status_document(), status_document(DataFacts(1, 0, True, {"switch": "gone"}, copies))]


class Asked:
    """The control socket's answers, without its socket."""

    def __init__(self, directory: Path) -> None:
        self._socket = ControlSocket(directory / "control.sock")
        self.questions = Questions(self._socket, Story((TOLD,)), dict, "n1", 7, "1", lambda: 0)

    def answer(self, body: Mapping[str, object]) -> Mapping[str, Any]:
        found = self.questions._answer(Request(1, body), [])
        self._socket.close()
        assert found is not None
        return found


def from_control(body: Mapping[str, object], directory: Path) -> Documents:
    return [json.loads(json.dumps(Asked(directory).answer(body)))]


ROW = RegistrationRow("a@b", "sip:a", 60, "n1", "blue", "sip1", "udp", "", "phone", is_cut=False)
LIMIT = LimitRow("outbound_a", (("n1", Count(1, 0)),), 0)


class Lists:
    """The data process's answers, as the console prints them."""

    def __init__(self, directory: Path) -> None:
        replicator = Replicator("n1", 1, b"k" * 16)
        replicator.handle(GroupWon("blue", 1), 0)
        for stream, body in ((CALLS, pack_call(CallRecord("sip1"))), (REGISTRATIONS, b"")):
            replicator.handle(RecordsChanged(stream, ((record_key("blue", b"x"), body),)), 0)
        makers = {**row_makers(TelephonySettings("n1", ()), lambda: Moment(0, 0)), REGISTRATIONS: self._rows}
        self._found: list[Mapping[str, Any]] = []
        self._listing = Listing(
            ReplicatedCopies(replicator), makers, "n1", lambda _, answer: self._found.append(answer)
        )
        lost = LostCall("x", "1", "2", 0, "why", "blue", "n2", 0)
        self._socket = ControlSocket(directory / "data.sock")
        self._questions = DataQuestions(
            self._socket,
            self._listing,
            Answers(lambda: [lost], lambda: [LIMIT], dict, lambda: None),
            "n1",
            "1",
        )

    def _rows(self, _: Entry) -> Iterator[Mapping[str, object]]:
        yield asdict(ROW)

    def documents(self, name: str) -> Documents:
        rows = self._answer({"ask": name})
        counts = self._answer({"ask": name, "count": True})
        self._socket.close()
        return [json.loads(as_json(name, Listed("n1", rows["rows"], is_cut=False))), counts]

    def _answer(self, body: Mapping[str, object]) -> Mapping[str, Any]:
        found = self._questions._answer(Request(1, body))
        while self._listing.has_more:
            self._listing.piece(0)
        return found if found is not None else self._found.pop()


def streams_documents(directory: Path) -> Documents:
    """Two data processes that hear each other."""
    port = free_ports()
    hosts = [Host(f"n{number}", f"127.0.0.{number}", port, directory) for number in (1, 2)]
    try:
        introduce(hosts)
        found: list[Mapping[str, Any]] = []

        def has_copies() -> bool:
            assert hosts[0].process is not None
            found[:] = [{"schema": "", "ok": True, "node": "n1", **hosts[0].process._streams()}]
            return bool(found[0]["copies"])

        until(hosts, has_copies)
        return found
    finally:
        for host in hosts:
            host.stop()
            host.switch.kill()


def report_documents() -> Documents:
    pieces = [Piece("status.json", "x", b"{}"), Piece("log.txt", "x", None, "no journal")]
    nodes = [Elsewhere("n2", "not reached")]
    return [report.as_data(Path("x.tar.gz"), 1, Daemon("", {}, ()), pieces, nodes)]


def doctor_documents() -> Documents:
    return [json.loads(doctor.as_data([Finding("host", Level.ERROR, "words", "mend")]))]


def check_documents(directory: Path) -> Documents:
    example = Path(__file__).parents[2] / "conf" / "example.toml"
    bad = directory / "bad.toml"
    bad.write_text("x = 1\n")
    found = []
    for path in (example, bad):
        reading = read(path)
        facts = host_facts(reading.configuration) if reading.configuration else None
        found.append(json.loads(check.as_data(path, reading, facts)))
    found[1]["warnings"] = found[0]["warnings"] or found[1]["errors"]
    return found


def trial_documents() -> Documents:
    calls = CallCount(2, 2, 1.0, 2.0, 1, 0)
    one = Result("kill-host", "standard", "g1", "n1", "n2", 200.0, False, 2, calls)
    return [json.loads(one.line()), json.loads(replace(one, calls=None).line())]


def simulator_documents() -> Documents:
    return [
        json.loads(json.dumps(found))
        for found in (
            command.as_record(Tally()),
            continuation_command.as_record(2, 1, 0, 0),
            exhaustive_command.as_record(Findings()),
        )
    ]


def of_codes(_: Path) -> Documents:
    codes = [explain.plain(code) for code in CATALOGUE.values()]
    return [json.loads(json.dumps({"schema": explain.SCHEMA, "ok": True, "codes": codes}))]


MAKERS: Mapping[str, Callable[[Path], Documents]] = {
    "zcluster.status/1": lambda _: statuses(),
    "zcluster.why/1": lambda directory: from_control({"ask": "why"}, directory),
    "zcluster.follow/1": lambda directory: from_control({"ask": "follow"}, directory),
    "zcluster.watch/1": lambda _: [json.loads(json.dumps(plain(event, 1))) for event in EVENTS],
    "zcluster.codes/1": of_codes,
    "zcluster.answer/1": lambda _: [
        json.loads(wish.answer_json({"ok": True, "text": ""})),
        json.loads(wish.answer_json({"ok": False, "error": ""})),
    ],
    **{
        f"zcluster.{name}/1": lambda directory, name=name: Lists(directory).documents(name)  # type: ignore[misc]
        for name in ("calls", "lost", "registrations", "limits")
    },
    "zcluster.streams/1": streams_documents,
    "zcluster.report/1": lambda _: report_documents(),
    "zcluster.roster/1": lambda _: [roster.as_data(status_document())],
    "zcluster.check/1": check_documents,
    "zcluster.doctor/1": lambda _: doctor_documents(),
    "The laboratory's trial": lambda _: trial_documents(),
    "The simulator": lambda _: simulator_documents(),
}


@pytest.mark.parametrize("title", MAKERS)
def test_the_page_names_the_keys_that_are_printed(title: str, tmp_path: Path) -> None:
    found = {key for document in MAKERS[title](tmp_path) for key in keys_of(document, "", PAGES[title])}
    assert leaves(found) == leaves(PAGES[title])


def test_the_page_leaves_out_no_schema() -> None:
    described = {*PAGES} - {"Others"}
    assert described == {*MAKERS}
