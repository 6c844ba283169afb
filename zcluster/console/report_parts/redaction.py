"""What may not leave a host: the secrets that its file names, and (unless they are wanted) who called whom.

What must hold: no piece leaves with a secret that this user can read, wherever it came to stand; whatever looks
like a key of ours goes too, whoever wrote it there. Secrets are in memory alone, and no message quotes one.
"""

from __future__ import annotations

import base64
import binascii
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from zcluster.config.keyfile import KEY_BYTES
from zcluster.config.passwordfile import WELL_KNOWN_PASSWORD, Ordinary, ordinary

DEFAULT_KEY_PATH = "/etc/zcluster/cluster.key"
LARGEST_SECRET_BYTES = 4096
LEAST_SECRET_BYTES = 4
_OUR_KEY = re.compile(rb"zc[a-z]\d:[A-Za-z0-9+/=_-]{16,}")
_SECRET_KEY = re.compile(
    rb"^(\s*[\"']?[\w.\"'-]*(?:password|passwd|secret|token|key)s?[\"']?\s*=\s*)(?![\"']/)[^\n]+", re.M | re.I
)
_SOUNDS_SECRET = re.compile(r"key|password|passwd|secret|token", re.I)
# With a password in it nobody can say where that ends, so nothing of such a URL stays.
_URL_PASSWORD = re.compile(rb"(https?://)[^\s\"']*@[^\s\"']*", re.I)
_URL_HOST = re.compile(rb"https?://[^\s/]", re.I)
_URL_PATH = re.compile(rb"(https?://[^\s/\"'?#]+)[/?#][^\s\"']+", re.I)
_CALL_LOST = re.compile(rb"a call of [^\n]{1,300}? to [^\n]{1,300}? is lost")
_CALL_FACT = re.compile(rb'("(?:caller|callee|answer)":\s*)"(?:[^"\\\n]|\\.)*"')
REMOVED, NUMBERS_LEFT_OUT = b"[secret removed]", b"[number left out]"
SECRET, CALLER = "secret", "caller"


class Redaction:
    """`counts`: how often a "secret" and a "caller" were taken out."""

    def __init__(self, secrets: Mapping[str, bytes], keeps_calls: bool) -> None:
        """`secrets` by the path of the file where each lives, content as it stands there."""
        forms = {form for content in secrets.values() for form in _forms(content)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._patterns = [re.compile(_bordered(form)) for form in self._forms]
        self._keeps_calls = keeps_calls
        self.counts: Counter[str] = Counter()

    def clean(self, content: bytes) -> bytes:
        """The text without any of it."""
        for pattern in (*self._patterns, _OUR_KEY):
            content = self._without(SECRET, pattern, REMOVED, content)
        if not self._keeps_calls:
            content = self._without(CALLER, _CALL_LOST, b"a call of ? to ? is lost", content)
            content = self._without(CALLER, _CALL_FACT, rb'\1"' + NUMBERS_LEFT_OUT + b'"', content)
        return content

    def clean_file(self, content: bytes) -> bytes:
        """The cluster's file: also values of keys that sound like secrets and name no file, and ways of web hooks."""
        for inline in sorted(_inline(_document(content)), key=len, reverse=True):
            content = self._without(SECRET, re.compile(re.escape(inline)), REMOVED, content)
        content = self._without(SECRET, _SECRET_KEY, rb"\1" + b'"' + REMOVED + b'"', content)
        content = self._without(SECRET, _URL_PASSWORD, rb"\1" + REMOVED, content)
        content = self._without(SECRET, _URL_PATH, rb"\1/" + REMOVED, content)
        return self.clean(content)

    def holds_secret(self, content: bytes) -> bool:
        """Whether one stands there: for what cannot be cleaned."""
        return any(form in content for form in self._forms) or _OUR_KEY.search(content) is not None

    def _without(self, kind: str, pattern: re.Pattern[bytes], instead: bytes, content: bytes) -> bytes:
        cleaned, count = pattern.subn(instead, content)
        self.counts[kind] += count
        return cleaned


def secrets_of(content: bytes) -> dict[str, bytes]:
    """What stands in every file that the cluster's file names as one of a key or a password, as far as this user
    may read it. A file that is broken beyond reading names none.
    """
    named = (value for key, value in _texts(_document(content)) if _SOUNDS_SECRET.search(key))
    paths = {DEFAULT_KEY_PATH, *(value for value in named if value.startswith("/"))}
    found: dict[str, bytes] = {}
    for path in sorted(paths):
        try:
            with Path(path).open("rb") as file:
                found[path] = file.read(LARGEST_SECRET_BYTES)
        except (OSError, ValueError):
            continue
    return found


def ordinary_secrets(secrets: Mapping[str, bytes], content: bytes) -> dict[str, Ordinary]:
    """The files whose secret is an ordinary word, so that what is left out tells it, or it is not left out; and why.
    `content`: of the cluster's file.
    """
    texts = list(_texts(_document(content)))
    names = {value for key, value in texts if not _SOUNDS_SECRET.search(key)}
    reasons = {
        path: ordinary(each.strip().decode("utf-8", "replace"), names) for path, each in secrets.items()
    }
    return {path: reason for path, reason in reasons.items() if reason is not None}


def _document(content: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(content.decode("utf-8", "replace"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a document with the name of its key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str):
        yield key, value


def _inline(document: Mapping[str, object]) -> set[bytes]:
    """Secrets that somebody wrote into the file itself, where only the path of one belongs."""
    texts = list(_texts(document))
    found = [value for key, value in texts if _SOUNDS_SECRET.search(key) and value[:1] != "/"]
    # A program's arguments may be a token; its name is a path.
    found += [value for key, value in texts if key == "command" and value[:1] != "/"]
    found += [value for key, value in texts if key == "url" and not _URL_HOST.match(value.encode())]
    return {value.encode() for value in found if value}


def _forms(content: bytes) -> Iterator[bytes]:
    """The ways in which a secret may be written: as its file has it, and a key's bytes raw, in hex and base64."""
    text = content.strip()
    if len(text) < LEAST_SECRET_BYTES or text == WELL_KNOWN_PASSWORD.encode():
        return
    yield text
    try:
        key = base64.b64decode(text.partition(b":")[2], validate=True)
    except binascii.Error:
        return
    if len(key) == KEY_BYTES:
        yield from (key, key.hex().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key))


def _bordered(form: bytes) -> bytes:
    """A short password may be a part of any word; it is one only where it stands alone."""
    if len(form) >= 8:
        return re.escape(form)
    return rb"(?<![A-Za-z0-9])" + re.escape(form) + rb"(?![A-Za-z0-9])"
