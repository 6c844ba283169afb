"""The bounds of everything that is read from or kept for an event socket.

What must hold: whatever a switch or a client sends, what we keep of it stays below these. Each is far above what
a real FreeSWITCH was seen to send (tests/switch/captures: header blocks to 137 bytes, events to 12 KB with 287
headers, answers to 42 KB) and can be told apart from an accident: to break one is a fault of the other side.
"""

from __future__ import annotations

HEADER_BLOCK_BYTES = 16 << 10
HEADERS_IN_BLOCK = 64
# A list of a hundred thousand registrations in one answer, and more.
BODY_BYTES = 64 << 20
EVENT_BYTES = 4 << 20
EVENT_HEADERS = 4096
LENGTH_DIGITS = 10

# mod_event_socket cuts a command at 1,024,000 bytes (CMD_BUFLEN) and reads the rest as the next one.
COMMAND_BYTES = 256 << 10
COMMAND_BODY_BYTES = 1 << 20
COMMAND_HEADERS = 1024
JOB_CHARACTERS = 36

WAITING_ANSWERS = 1024
WAITING_JOBS = 1024
WAITING_PULSES = 64
UNSENT_BYTES = 4 << 20
RECEIVE_BYTES = 256 << 10
RECEIVES_IN_TURN = 4

CONNECT_MS = 2000
GREETING_MS = 5000
ANSWER_MS = 5000
JOB_MS = 60_000
FIRST_RETRY_MS = 50
LONGEST_RETRY_MS = 2000

SERVER_CLIENTS = 32
SERVER_WAITING_BYTES = 2 * (COMMAND_BYTES + COMMAND_BODY_BYTES)
SERVER_AUTHENTICATION_MS = 5000
# As mod_event_socket does (MAX_MISSED): who missed more than this is sent away.
SERVER_MISSED_EVENTS = 500
