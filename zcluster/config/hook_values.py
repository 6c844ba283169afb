"""The values of `[[hook]]`: how a program, a URL and a code are written, and what is refused in which words.

What must hold: as in `zcluster.config.values`. A program is never a line for a shell: what stands here is what is run.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from zcluster.config.names import is_host_name, is_plain_text
from zcluster.config.values import refusal

MOST_WORDS = 64
LONGEST_WORD = 1024
LONGEST_URL = 2000
_CODE = re.compile(r"[a-z0-9*?\[\]!-]{1,63}")
_URL = re.compile(r"[!-~]+")
_BEHIND_THE_HOST = re.compile(r"(?<=[^:/])[/?#].*", re.DOTALL)
_URL_MEND = 'write it as "https://alerts.example.net/zcluster"'


def _command(words: list[str]) -> list[str]:
    if not words[0].startswith("/"):
        raise refusal(
            f"{words[0]!r} is no absolute path",
            'write the program and each argument apart, such as ["/usr/local/bin/page", "--now"]; no shell reads it',
        )
    for word in words:
        if not is_plain_text(word) or len(word) > LONGEST_WORD:
            raise refusal(
                f"{word[:40]!r} cannot be an argument",
                f"one line of {LONGEST_WORD} characters at most, without control characters",
            )
    return words


def _url(text: str) -> str:
    if not _URL.fullmatch(text) or len(text) > LONGEST_URL:
        raise refusal(f"{_shown(text)} is no URL", _URL_MEND)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise refusal(f"{_shown(text)} is no URL: {error}", _URL_MEND) from error
    if parts.scheme not in ("http", "https"):
        raise refusal(f"{_shown(text)} begins with neither https:// nor http://", _URL_MEND)
    if not is_host_name(host) and not re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:.]+", host):
        raise refusal(f"{_shown(text)} names no host", _URL_MEND)
    if "@" in parts.netloc:
        raise refusal(
            "a password in a URL is shown in logs and in the list of processes",
            "run a command that reads the password from a file of mode 0600, and tells the server itself",
        )
    if parts.fragment:
        raise refusal(f"what follows '#' in {_shown(text)} never reaches a server", "take it out")
    return text


def _shown(text: str) -> str:
    """Of a URL what is no secret: the way behind the host often is one, and what is told of a file is passed on."""
    if "@" in text:
        return "what stands there"
    return repr(_BEHIND_THE_HOST.sub("...", text, count=1)[:60])


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise refusal(
            f"{text[:40]!r} cannot be a code", 'write one as "takeover", or a pattern such as "gate-*"'
        )
    return text


CommandWords = Annotated[list[str], Field(min_length=1, max_length=MOST_WORDS), AfterValidator(_command)]
UrlText = Annotated[str, AfterValidator(_url)]
CodePattern = Annotated[str, AfterValidator(_code)]
