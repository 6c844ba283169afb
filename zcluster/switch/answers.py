"""What a server says on an event socket, as bytes: the frames as mod_event_socket writes them.

What must hold: `esl.EslReader` reads each back as it was meant, whatever text it carries (tests/switch holds both
against each other and against the captured bytes).
"""

from __future__ import annotations

from zcluster.switch import event_text
from zcluster.switch.commands import Form
from zcluster.switch.frames import Event

AUTH_REQUEST = b"Content-Type: auth/request\n\n"
NO_REPLY = "-ERR no reply\n"
FAREWELL = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"


def reply(text: str, job: str = "") -> bytes:
    """The answer to a command; line breaks in `text` become spaces, because nothing could mark its end."""
    line = " ".join(text.split("\n"))
    extra = f"Job-UUID: {job}\n" if job else ""
    return f"Content-Type: command/reply\nReply-Text: {line}\n{extra}\n".encode()


def response(body: str) -> bytes:
    """The output of an api command. An empty one becomes "-ERR no reply", as the switch itself does."""
    return _framed("Content-Type: api/response\n", (body or NO_REPLY).encode())


def notice(text: str = FAREWELL) -> bytes:
    """The goodbye before a close."""
    return _framed("Content-Type: text/disconnect-notice\n", text.encode())


def log_line(level: int, text: str) -> bytes:
    """One line of the log."""
    content = text.encode()
    head = f"Content-Type: log/data\nContent-Length: {len(content)}\nLog-Level: {level}\nText-Channel: 0\n"
    return f"{head}Log-File: \nLog-Func: \nLog-Line: 0\nUser-Data: \n\n".encode() + content


def event(form: Form, what: Event) -> bytes:
    """One event. Its Content-Length stands before its Content-Type."""
    content = event_text.write_json(what) if form is Form.JSON else event_text.write_plain(what)
    return f"Content-Length: {len(content)}\nContent-Type: text/event-{form.value}\n\n".encode() + content


def _framed(head: str, content: bytes) -> bytes:
    return f"{head}Content-Length: {len(content)}\n\n".encode() + content
