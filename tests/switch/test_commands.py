"""Whatever text we are given reaches the switch as that text or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.switch.as_the_switch_reads import Packet, read_packet
from tests.switch.recorded import FROM_MOD_HASH, SPOKEN, received, sent
from zcluster.errors import CommandRefused
from zcluster.switch import bounds, commands
from zcluster.switch.commands import Answer, Command, Form
from zcluster.switch.requests import RequestReader

NASTY = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=" \r\n\0\t:'\"\\[]%+-/\ud800\udcff\x1b\u2028\x85aA0", max_size=12),
    st.sampled_from(
        [
            "1000\n\napi fsctl shutdown now",
            "1000\r\n\r\nexit",
            "x\nContent-Length: 5",
            "ARRAY::a|:b",
            '"" <sip:1000@10.77.0.22:5060>',
            "100% {and} [more]",
        ]
    ),
)


def packet_of(command: Command) -> Packet:
    """The one command that the switch makes of it, with nothing left over."""
    packet, left = read_packet(command.data)
    assert packet is not None
    assert left == b""
    ours = RequestReader()
    ours.feed(command.data)
    request = ours.next()
    assert request is not None
    assert ours.next() is None
    assert (request.line, request.body) == (packet.command, packet.body)
    return packet


def built(make: Callable[[], Command]) -> Packet | None:
    try:
        command = make()
    except CommandRefused:
        return None
    return packet_of(command)


@given(NASTY)
def test_any_word_arrives_as_one_word_or_not_at_all(word: str) -> None:
    packet = built(lambda: commands.api("sofia_contact", word, rest="x y"))
    if packet is not None:
        assert packet == Packet(f"api sofia_contact {word} x y", [], "")
        assert packet.command.split(" ")[2] == word


@given(NASTY)
def test_any_rest_arrives_as_it_is_or_not_at_all(rest: str) -> None:
    packet = built(lambda: commands.api("uuid_setvar", "u", "name", rest=rest))
    if packet is not None:
        assert packet.command == f"api uuid_setvar u name {rest}".rstrip(" " if not rest else "")


@given(NASTY, NASTY)
def test_any_job_and_argument_arrive_or_not_at_all(job: str, word: str) -> None:
    packet = built(lambda: commands.bgapi(job, "sofia", "profile", word, rest="recover"))
    if packet is not None:
        assert packet == Packet(f"bgapi sofia profile {word} recover", [("Job-UUID", job)], "")


@given(NASTY)
def test_any_password_arrives_as_it_is_or_not_at_all(password: str) -> None:
    packet = built(lambda: commands.auth(password))
    assert packet is None or packet.command == f"auth {password}"


@given(NASTY, NASTY, NASTY)
def test_any_user_arrives_as_it_is_or_not_at_all(user: str, domain: str, password: str) -> None:
    packet = built(lambda: commands.userauth(user, domain, password))
    if packet is not None:
        named, _, rest = packet.command.removeprefix("userauth ").partition("@")
        assert (named, *rest.split(":", 1)) == (user, domain, password)


@given(NASTY, NASTY)
def test_any_filter_arrives_as_it_is_or_not_at_all(header: str, value: str) -> None:
    packet = built(lambda: commands.filter_events(header, value))
    assert packet is None or packet.command == f"filter {header} {value}"


@given(st.dictionaries(NASTY, NASTY, max_size=6), NASTY, NASTY)
@example({"Orig-from-user": "1000\nUnique-ID: x"}, "multicast::event", "")
@example({"Orig-contact": '"" <sip:1000@10.77.0.22:5060>'}, "multicast::event", "")
def test_any_event_arrives_as_it_is_or_not_at_all(headers: dict[str, str], subclass: str, body: str) -> None:
    packet = built(lambda: commands.sendevent("CUSTOM", subclass, headers, body))
    if packet is None:
        return
    expected = [("Event-Subclass", subclass)] if subclass else []
    expected += list(headers.items())
    expected += [("Content-Length", str(len(body.encode())))] if body else []
    assert packet == Packet("sendevent CUSTOM", expected, body)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200))
def test_a_body_may_hold_anything_but_nul(body: str) -> None:
    assert packet_of(commands.sendevent("CUSTOM", "zcluster::probe", {}, body)).body == body


@pytest.mark.parametrize(
    "make",
    [
        lambda: commands.sendevent("CUSTOM", "x", {"from-user": "1000\nUnique-ID: other"}),
        lambda: commands.sendevent("CUSTOM", "x", {"from-user": "1000\r\n\r\napi fsctl shutdown now"}),
        lambda: commands.sendevent("CUSTOM", "x", {"from-user": " leading"}),
        lambda: commands.sendevent("CUSTOM", "x", {"Unique-ID": "a"}),
        lambda: commands.sendevent("CUSTOM", "x", {"unique-id": "a"}),
        lambda: commands.sendevent("CUSTOM", "x", {"Content-Length": "4"}),
        lambda: commands.sendevent("CUSTOM", "x", {"a[3000]": "v"}),
        lambda: commands.sendevent("CUSTOM", "x", {"a: b\nc": "v"}),
        lambda: commands.sendevent("CUSTOM", "x", {"": "v"}),
        lambda: commands.sendevent("CUSTOM", "x", {f"h{i}": "" for i in range(bounds.COMMAND_HEADERS + 1)}),
        lambda: commands.sendevent("CUSTOM", "x", {"a": "v" * bounds.COMMAND_BYTES}),
        lambda: commands.sendevent("CUSTOM", "x", {}, "v" * (bounds.COMMAND_BODY_BYTES + 1)),
        lambda: commands.sendevent("CUSTOM", "x", {}, "a\0b"),
        lambda: commands.sendevent("CUSTOM", "x y"),
        lambda: commands.sendevent("custom\n"),
        lambda: commands.api("sofia status"),
        lambda: commands.api(""),
        lambda: commands.api("sofia", ""),
        lambda: commands.api("sofia", "it's"),
        lambda: commands.api("echo", rest="unload mod_event_socket"),
        lambda: commands.api("reload", "mod_event_socket"),
        lambda: commands.api("echo", rest="x" * bounds.COMMAND_BYTES),
        lambda: commands.set_global("a=b", "x"),
        lambda: commands.set_global("", "x"),
        lambda: commands.set_global("a", "x\0"),
        lambda: commands.set_global("a", "x\r"),
        lambda: commands.set_global("a", " x"),
        lambda: commands.set_global("a", "$\\{b}"),
        lambda: commands.set_global("a", "ARRAY::b"),
        lambda: commands.set_global("a", "unload mod_event_socket"),
        lambda: commands.bgapi("j" * (bounds.JOB_CHARACTERS + 1), "status"),
        lambda: commands.bgapi("", "status"),
        lambda: commands.bgapi("job", "reload", "mod_EVENT_socket"),
        lambda: commands.auth(""),
        lambda: commands.auth(" spaced"),
        lambda: commands.auth("two\nlines"),
        lambda: commands.userauth("a:b", "c", "d"),
        lambda: commands.userauth("a", "", "d"),
        lambda: commands.subscribe(Form.PLAIN, []),
        lambda: commands.subscribe(Form.PLAIN, ["CUSTOM"]),
        lambda: commands.subscribe(Form.PLAIN, ["HEARTBEAT X"]),
        lambda: commands.filter_events("delete", "x"),
        lambda: commands.filter_events("Event-Name", "/.*/"),
        lambda: commands.filter_events("Event-Name", "-HEARTBEAT"),
        lambda: commands.filter_events("Event-Name", ""),
        lambda: commands.log(8),
    ],
)
def test_what_would_say_something_else_is_refused(make: Callable[[], Command]) -> None:
    with pytest.raises(CommandRefused):
        make()


def test_a_password_is_never_shown() -> None:
    for command in (commands.auth("geheim"), commands.userauth("u", "d", "geheim")):
        assert "geheim" not in repr(command)
        assert "geheim" not in command.name
    for secret in ("geheim\n", "geheim\0x", "mod_event_socket geheim\nreload"):
        with pytest.raises(CommandRefused) as refused:
            commands.auth(secret)
        assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("order", ["unload", "RELOAD"])
def test_no_header_is_an_order_to_the_event_socket_to_leave(order: str) -> None:
    # The switch keeps the whole block as the command: a telephone's User-Agent closed the socket for good.
    for headers in ({"Orig-user-agent": f"{order} mod_event_socket"}, {"a": order, "b": "Mod_Event_Socket"}):
        with pytest.raises(CommandRefused):
            commands.sendevent("CUSTOM", "multicast::event", headers)
    body = f"{order} mod_event_socket"
    assert packet_of(commands.sendevent("CUSTOM", "x", {"a": "mod_event_socket"}, body)).body == body


def stored_by_the_switch(command: Command) -> tuple[str, str]:
    """Name and value of the variable, read as `global_setvar` and `switch_separate_string` do."""
    text = packet_of(command).command.removeprefix("api global_setvar ")
    parts, is_escaped = [""], False
    for letter in text:
        if is_escaped:
            parts[-1] += {"n": "\n", "r": "\r", "t": "\t", "s": " "}.get(letter, letter)
        elif letter == "=":
            parts.append("")
        elif letter != "\\":
            assert letter != "'", "a quote that stands alone would be taken away"
            parts[-1] += letter
        is_escaped = letter == "\\" and not is_escaped
    assert not is_escaped
    name, value = parts  # a third part would be the value that the variable must have now
    return name, value


@given(st.one_of(NASTY, st.text(alphabet="ab \n\t'\"\\=${}nrst", max_size=20)))
@example("Group sip1:\n  it's \\ a=b")
def test_any_page_is_kept_as_it_is_or_not_at_all(value: str) -> None:
    try:
        command = commands.set_global("zcluster why sip1", value)
    except CommandRefused:
        return
    assert stored_by_the_switch(command) == ("zcluster why sip1", value)
    assert "${" not in value


# What the recordings sent and what no function of ours makes: mistakes, and what only a call's own socket can do.
NOT_OURS = {"api", "nosuch", "event plain", "linger", "divert_events on"}


def rebuilt(data: bytes) -> Command | None:
    """The command of ours that should be those bytes, or None where there is none."""
    packet, _ = read_packet(data)
    assert packet is not None
    line, headers = packet.command, dict(packet.headers)
    verb, _, rest = line.partition(" ")
    words = rest.split(" ")
    match verb:
        case _ if line in NOT_OURS:
            return None
        case "auth":
            return commands.auth(rest)
        case "userauth":
            user, domain, password = rest.replace("@", ":").split(":")
            return commands.userauth(user, domain, password)
        case "api":
            return commands.api(words[0], rest=" ".join(words[1:]))
        case "bgapi" if "Job-UUID" in headers:
            return commands.bgapi(headers["Job-UUID"], words[0], rest=" ".join(words[1:]))
        case "bgapi":
            return None  # ours always name their job
        case "event" | "nixevent":
            names = words[1:] if verb == "event" else words
            cut = names.index("CUSTOM") if "CUSTOM" in names else len(names)
            if verb == "nixevent":
                return commands.unsubscribe(names[:cut], names[cut + 1 :])
            return commands.subscribe(Form(words[0]), names[:cut], names[cut + 1 :])
        case "sendevent":
            subclass = headers.pop("Event-Subclass")
            headers.pop("Content-Length", None)
            return commands.sendevent(rest, subclass, headers, packet.body)
        case "filter":
            return commands.unfilter_all() if words[0] == "delete" else commands.filter_events(*words)
    return {"noevents": commands.noevents, "nolog": commands.nolog, "exit": commands.leave}.get(
        verb, lambda: commands.log(int(rest))
    )()


@pytest.mark.parametrize("name", SPOKEN)
def test_every_command_that_was_measured_is_built_byte_for_byte(name: str) -> None:
    for record in sent(name):
        command = rebuilt(record.data)
        if command is not None:
            assert command.data == record.data


def test_the_twin_reads_what_mod_hash_sends() -> None:
    packet, left = read_packet(received(FROM_MOD_HASH))
    assert packet == Packet("auth zc", [], "")
    assert left.startswith(b"api hash_dump limit\n\n")


def test_which_frame_answers() -> None:
    assert commands.api("status").answer is Answer.OUTPUT
    assert commands.bgapi("job", "status").answer is Answer.REPLY
    assert commands.bgapi("job", "status").job == "job"
