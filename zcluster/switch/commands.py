r"""Every command that we give a switch, as bytes.

What must hold: text from anywhere (a user name, a contact, a password) reaches the switch as that text or not at
all. A newline, a carriage return or a NUL would end a line early, so nothing that holds one is expressible; what the
switch would alter or treat specially is refused as well. The one exception is the body of `sendevent`, which is
counted. CommandRefused says what and why; its message never shows a password.

Source: read_packet and parse_command in mod_event_socket.c. It reads a line to the first \r, else to the first \n;
skips the spaces before a header's value; reads a body where a Content-Length stands; makes an array of a header
whose name has a "["; hands an event with a Unique-ID to that call instead; and takes any command for the order to
leave its own service that holds "mod_event_socket" and "unload" or "reload" anywhere before its body, a header's
value included (seen on 1.11.3-dev: `sendevent` with such a User-Agent closed the event socket for good).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from zcluster.errors import CommandRefused
from zcluster.switch import bounds
from zcluster.switch.frames import ARRAY

# The switch writes these into every event itself, or acts on them.
RESERVED_HEADERS = frozenset(
    {
        "command",
        "content-length",
        "content-type",
        "core-uuid",
        "event-name",
        "event-sequence",
        "event-subclass",
        "event-uuid",
        "unique-id",
    }
)

_BREAKS = re.compile("[\r\n\0]")
_HEADER_NAME = re.compile(r"[!-9;-Z\\^-~]+")
_WORD = re.compile(r"""[^\s"'\\\x00-\x1f\x7f]+""")
_EVENT_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_JOB = re.compile(r"[0-9A-Za-z-]+")
_API_NAME = re.compile(r"[A-Za-z0-9_]+")
_HIJACKED = re.compile("unload|reload", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z0-9_.-]+(?: [A-Za-z0-9_.-]+)*")
_EXPANSION = re.compile(r"\$\\*\{")
_VALUE_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'", "=": r"\=", "\n": r"\n", "\t": r"\t"})
MODULE = "mod_event_socket"


class Answer(StrEnum):
    """Which frame answers a command."""

    REPLY = "command/reply"
    OUTPUT = "api/response"


class Form(StrEnum):
    """How events are to be written."""

    PLAIN = "plain"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `name` may be shown and logged, the bytes may not; `job` is the Job-UUID of a bgapi."""

    name: str
    data: bytes = field(repr=False)
    answer: Answer = Answer.REPLY
    job: str = ""


def auth(password: str) -> Command:
    """Authenticates with the password of event_socket.conf."""
    _check_secret(password)
    return _line("auth", f"auth {password}")


def userauth(user: str, domain: str, password: str) -> Command:
    """Authenticates as a directory user with `esl-password`."""
    _check_secret(password)
    for part in (user, domain):
        if not _WORD.fullmatch(part) or ":" in part or "@" in part:
            raise CommandRefused(f"{part!r} is no user or domain of a userauth")
    return _line("userauth", f"userauth {user}@{domain}:{password}")


def api(name: str, *words: str, rest: str = "") -> Command:
    """Runs an API command and waits for its output. See `_arguments` for words and `rest`."""
    text = f"api {_arguments(name, words, rest)}"
    return _line(text, text, Answer.OUTPUT)


def set_global(name: str, value: str) -> Command:
    """Sets a global variable, or with "" deletes it. The value may have several lines; the name, several words.

    Refused is what the switch would alter: "${", of which it makes "%{"; "ARRAY::" at the beginning.
    Source: global_setvar_function in mod_commands.c, cleanup_separated_string in switch_utils.c, which takes the
    value up to an "=", without quotes and the spaces around it, and reads escapes.
    """
    if not _VARIABLE.fullmatch(name):
        raise CommandRefused(f"{name!r} is no name of a global variable")
    if _EXPANSION.search(value) or value.startswith(ARRAY):
        raise CommandRefused(f"the value of {name} holds what the switch would take for more than text")
    if value != value.strip(" ") or "\r" in value:
        raise CommandRefused(f"the value of {name} has spaces around it or a carriage return")
    text = f"api global_setvar {name}={value.translate(_VALUE_ESCAPES)}"
    return _line(f"api global_setvar {name}", text, Answer.OUTPUT)


def bgapi(job: str, name: str, *words: str, rest: str = "") -> Command:
    """Runs an API command beside; its output comes in a BACKGROUND_JOB event with that Job-UUID.

    `job`: 1 to 36 letters, digits and dashes (the switch keeps no more of them).
    """
    if not _JOB.fullmatch(job) or len(job) > bounds.JOB_CHARACTERS:
        raise CommandRefused(f"{job!r} is no Job-UUID: 1 to {bounds.JOB_CHARACTERS} letters, digits, dashes")
    text = f"bgapi {_arguments(name, words, rest)}"
    _check_order(text)
    data = _encoded(f"{_checked(text)}\nJob-UUID: {job}\n\n")
    _check_size(data)
    return Command(text, data, Answer.REPLY, job)


def subscribe(form: Form, names: Sequence[str], subclasses: Sequence[str] = ()) -> Command:
    """Asks for these events from now on, in addition to what was asked before."""
    text = f"event {form.value} {_events(names, subclasses)}"
    return _line(text, text)


def unsubscribe(names: Sequence[str], subclasses: Sequence[str] = ()) -> Command:
    """Ends the subscription to these events (`nixevent`)."""
    text = f"nixevent {_events(names, subclasses)}"
    return _line(text, text)


def noevents() -> Command:
    """Ends every subscription; refused by the switch when there is none."""
    return _line("noevents", "noevents")


def filter_events(header: str, value: str) -> Command:
    """Lets through only events with that header; several filters are alternatives."""
    return _filter("filter", header, value)


def unfilter_events(header: str, value: str) -> Command:
    """Takes that filter away."""
    return _filter("filter delete", header, value)


def unfilter_all() -> Command:
    """Takes all filters away."""
    return _line("filter delete all", "filter delete all")


def log(level: int) -> Command:
    """Sends log lines of this level and graver: 0 console, 1 alert, 2 critical ... 7 debug."""
    if not 0 <= level <= 7:
        raise CommandRefused(f"{level} is no log level: 0 to 7")
    return _line(f"log {level}", f"log {level}")


def nolog() -> Command:
    """Sends no more log lines."""
    return _line("nolog", "nolog")


def leave() -> Command:
    """Says goodbye: a reply, a disconnect notice, then the end."""
    return _line("exit", "exit")


def sendevent(
    name: str, subclass: str = "", headers: Mapping[str, str] | None = None, body: str = ""
) -> Command:
    """Fires an event inside the switch. Values go raw (not url-encoded), as multicast::event needs them.

    A header's value cannot begin with a space, hold a line break, or have a reserved name
    (RESERVED_HEADERS); the body can hold anything but NUL.
    """
    headers = headers or {}
    if not _EVENT_NAME.fullmatch(name):
        raise CommandRefused(f"{name!r} is no event name")
    if len(headers) > bounds.COMMAND_HEADERS:
        raise CommandRefused(f"{len(headers)} headers are more than {bounds.COMMAND_HEADERS}")
    lines = [f"sendevent {name}"]
    if subclass:
        lines.append(f"Event-Subclass: {_word('an event subclass', subclass)}")
    lines += [_header(each, value) for each, value in headers.items()]
    content = _encoded(body)
    if b"\0" in content:
        raise CommandRefused("the body of an event holds a NUL, where the switch would cut it")
    if len(content) > bounds.COMMAND_BODY_BYTES:
        raise CommandRefused(
            f"an event body of {len(content)} bytes is longer than {bounds.COMMAND_BODY_BYTES}"
        )
    if content:
        # Last, because the switch reads the body right where this stands.
        lines.append(f"Content-Length: {len(content)}")
    text = "\n".join(lines)
    _check_order(text)
    block = _encoded(f"{text}\n\n")
    _check_size(block)
    return Command(f"sendevent {name} {subclass}".rstrip(), block + content)


def _arguments(name: str, words: Sequence[str], rest: str) -> str:
    """An API command's text: words are single arguments, `rest` the last one, which may have spaces.

    A word may hold no white space, quote or backslash: the switch would split or unquote it.
    """
    if not _API_NAME.fullmatch(name):
        raise CommandRefused(f"{name!r} is no API command")
    parts = [name, *(_word("an argument", word) for word in words)]
    if rest:
        parts.append(_checked(rest))
    return " ".join(parts)


def _events(names: Sequence[str], subclasses: Sequence[str]) -> str:
    if not names and not subclasses:
        raise CommandRefused("no event is named")
    for name in names:
        if not _EVENT_NAME.fullmatch(name) or name == "CUSTOM":
            raise CommandRefused(f"{name!r} is no event name (subclasses make CUSTOM by themselves)")
    # Whatever follows CUSTOM is taken for a subclass, so it must be last.
    custom = ["CUSTOM", *(_word("an event subclass", subclass) for subclass in subclasses)]
    return " ".join([*names, *(custom if subclasses else ())])


def _filter(verb: str, header: str, value: str) -> Command:
    # "delete", "add" and "all" are the switch's own words; a value that begins so is a sign or a pattern.
    if not _HEADER_NAME.fullmatch(header) or header.lower() in {"delete", "add", "all"}:
        raise CommandRefused(f"{header!r} is no header to filter by")
    if not value or value[0] in " +-/" or value != value.rstrip():
        raise CommandRefused(f"{value!r} cannot be filtered for: it would be read as something else")
    text = f"{verb} {header} {value}"
    return _line(text, text)


def _header(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise CommandRefused(f"{name!r} is no header name")
    if name.lower() in RESERVED_HEADERS:
        raise CommandRefused(f"the header {name} is the switch's own")
    if value.startswith(" "):
        raise CommandRefused(f"the value of {name} begins with a space, which the switch would drop")
    return f"{name}: {_checked(value)}"


def _word(what: str, word: str) -> str:
    if not _WORD.fullmatch(word):
        raise CommandRefused(f"{word!r} is not one word, as {what} must be")
    return word


def _check_secret(password: str) -> None:
    if not password or password != password.strip() or _BREAKS.search(password):
        raise CommandRefused("this password is empty, has spaces around it, or holds a line break")


def _line(name: str, text: str, answer: Answer = Answer.REPLY) -> Command:
    _check_order(text)
    data = _encoded(_checked(text, is_shown=name == text) + "\n\n")
    _check_size(data)
    return Command(name, data, answer)


def _checked(text: str, is_shown: bool = True) -> str:
    if _BREAKS.search(text):
        raise CommandRefused(
            f"{text[:80]!r} holds a line break or a NUL" if is_shown else "it holds a line break"
        )
    return text


def _check_order(text: str) -> None:
    if MODULE in text.lower() and _HIJACKED.search(text):
        raise CommandRefused(f"the switch takes a command with {MODULE} and un- or reload for that order")


def _check_size(block: bytes) -> None:
    if len(block) > bounds.COMMAND_BYTES:
        raise CommandRefused(f"a command of {len(block)} bytes is longer than {bounds.COMMAND_BYTES}")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise CommandRefused("a command holds a lone surrogate, which is no text") from problem
