"""Ask a switch a list of questions over its event socket, within a bound.

What must hold: it always ends; a switch that is not there, refuses the password or hangs is an answer as well.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from dataclasses import dataclass, field

from zcluster.adapters.realtime import monotonic_ms
from zcluster.config.configuration import SwitchSettings
from zcluster.config.passwordfile import load_password
from zcluster.errors import ZclusterError
from zcluster.switch.client import EslClient
from zcluster.switch.commands import Command, api
from zcluster.switch.frames import ApiResponse
from zcluster.switch.notices import Answered, Closed, Notice, Opened, Unanswered
from zcluster.switch.wishes import Login, Wishes

LIMIT_MS = 5_000
MODULES = ("mod_sofia", "mod_commands", "mod_event_socket", "mod_hash")


@dataclass(slots=True)
class SwitchAnswers:
    """`problem`: why it could not be asked, or not all of it; `texts` by the keys of the questions."""

    problem: str = ""
    texts: dict[str, str] = field(default_factory=dict)


def questions_of(profiles: tuple[str, ...]) -> dict[str, Command]:
    """What the checks want to know, by key. Raises CommandRefused for a profile's name that is no word."""
    configuration = ("xml_locate", "configuration", "configuration", "name")
    return {
        "version": api("version"),
        "switchname": api("switchname"),
        "db_dir": api("global_getvar", "db_dir"),
        "pause inbound": api("fsctl", "pause_check", "inbound"),
        "pause outbound": api("fsctl", "pause_check", "outbound"),
        "switch.conf": api(*configuration, "switch.conf"),
        "sofia.conf": api(*configuration, "sofia.conf"),
        "hash.conf": api(*configuration, "hash.conf"),
        **{f"module {name}": api("module_exists", name) for name in MODULES},
        **{f"profile {name}": api("sofia", "xmlstatus", "profile", name) for name in profiles},
    }


def acl_question(name: str, address: str) -> tuple[str, Command]:
    """Whether the list `name` of acl.conf.xml admits `address`: the answer is "true" or "false"."""
    return f"acl {name} {address}", api("acl", address, name)


def ask(switch: SwitchSettings, profiles: tuple[str, ...], limit_ms: int = LIMIT_MS) -> SwitchAnswers:
    """Everything in `questions_of`, as far as the switch answers within `limit_ms`."""
    try:
        return ask_these(switch, questions_of(profiles), limit_ms)
    except ZclusterError as problem:
        return SwitchAnswers(str(problem))


def ask_these(
    switch: SwitchSettings, questions: Mapping[str, Command], limit_ms: int = LIMIT_MS
) -> SwitchAnswers:
    """Each of these, likewise."""
    try:
        login = Login(load_password(switch.password_file))
        host, port = str(switch.event_socket.address), switch.event_socket.port
        client = EslClient(host, port, login, Wishes("doctor", hears_log=False))
        try:
            return _asked(client, questions, limit_ms)
        finally:
            client.close()
    except ZclusterError as problem:
        return SwitchAnswers(str(problem))


def _asked(client: EslClient, questions: Mapping[str, Command], limit_ms: int) -> SwitchAnswers:
    answers = SwitchAnswers()
    keys: dict[int, str] = {}
    until_ms = monotonic_ms() + limit_ms
    is_done = False
    while not is_done and not answers.problem:
        now_ms = monotonic_ms()
        if now_ms >= until_ms:
            answers.problem = f"no answer within {limit_ms} ms"
            break
        for notice in client.receive(now_ms):
            if isinstance(notice, Opened):
                keys = {client.request(command, now_ms, limit_ms): key for key, command in questions.items()}
            _take(notice, keys, answers)
        is_done = bool(keys) and len(answers.texts) == len(keys)
        due_ms = min(until_ms, client.deadline() or until_ms)
        if not is_done and not answers.problem:
            select.select([client], [], [], max(due_ms - monotonic_ms(), 1) / 1000)
    return answers


def _take(notice: Notice, keys: Mapping[int, str], answers: SwitchAnswers) -> None:
    match notice:
        case Answered(ticket=ticket, answer=ApiResponse(body=body)):
            answers.texts[keys[ticket]] = body
        case Unanswered(reason=reason) | Closed(reason=reason):
            answers.problem = answers.problem or reason
        case _:
            pass
