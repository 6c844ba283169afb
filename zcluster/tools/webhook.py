"""Tell a URL of one event, in a process of its own: it is run by path, with the standard library alone.

A process and no thread, because looking up a name and shaking hands may take as long as they like, and only a process
can be ended from outside (docs/decisions/0551). What must hold: one POST, no redirect is followed, the certificate and
the name of the server are verified; what is secret in the URL stands on standard input and in no list of processes.

    standard input      {"url", "timeout_s", "key"} as one line of JSON; the rest is the body
    exit status         0 the server has it (2xx) · 1 it may work later · 2 it never will (other 4xx)
"""

from __future__ import annotations

import json
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import create_default_context
from urllib.parse import urlsplit

TOLD, LATER, NEVER = 0, 1, 2
# Too slow, too early, too many (RFC 9110, RFC 8470, RFC 6585): the same request may work later.
PASSING = (408, 425, 429)
LARGEST_ANSWER_BYTES = 64 << 10


def main() -> int:
    """Do what standard input says."""
    wish = json.loads(sys.stdin.buffer.readline())
    try:
        status, reason = post(wish["url"], sys.stdin.buffer.read(), wish["key"], wish["timeout_s"])
    except (OSError, HTTPException, ValueError) as error:
        # OSError has refusals, time-outs, names that are not there and certificates that are not right.
        print(f"{type(error).__name__}: {error}")
        return LATER
    if 200 <= status < 300:
        return TOLD
    print(f"HTTP {status} {reason}")
    return NEVER if 400 <= status < 500 and status not in PASSING else LATER


def post(url: str, body: bytes, key: str, timeout_s: float) -> tuple[int, str]:
    """The status and reason of the answer."""
    parts = urlsplit(url)
    connection = (
        HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=create_default_context())
        if parts.scheme == "https"
        else HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    )
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "User-Agent": "zcluster",
        "Connection": "close",
    }
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        answer.read(LARGEST_ANSWER_BYTES)
        return answer.status, answer.reason
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
