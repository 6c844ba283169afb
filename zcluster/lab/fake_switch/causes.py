"""Hangup causes and SIP's statuses, as far as the fake switch meets them.

Source: hangup_cause_to_sip and sofia_glue's way back in mod_sofia.
"""

from __future__ import annotations

CLEARING = "NORMAL_CLEARING"
CANCELLED = "ORIGINATOR_CANCEL"
TIMER_EXPIRED = "RECOVERY_ON_TIMER_EXPIRE"
CONGESTION = "NORMAL_CIRCUIT_CONGESTION"
NOT_REGISTERED = "USER_NOT_REGISTERED"

_STATUS = {
    "UNALLOCATED_NUMBER": (404, "Not Found"),
    "NO_USER_RESPONSE": (408, "Request Timeout"),
    "USER_BUSY": (486, "Busy Here"),
    CANCELLED: (487, "Request Terminated"),
    CONGESTION: (503, "Service Unavailable"),
    TIMER_EXPIRED: (504, "Server Time-out"),
    "CALL_REJECTED": (603, "Decline"),
}
_CAUSE = {
    404: "UNALLOCATED_NUMBER",
    408: TIMER_EXPIRED,
    480: "NO_USER_RESPONSE",
    486: "USER_BUSY",
    487: CANCELLED,
    503: "NORMAL_TEMPORARY_FAILURE",
    603: "CALL_REJECTED",
}


def status_of(cause: str) -> tuple[int, str]:
    """What a caller is answered whose call ends before its answer."""
    return _STATUS.get(cause, (480, "Temporarily Unavailable"))


def cause_of(status: int) -> str:
    """Why a call ends that was answered so."""
    return _CAUSE.get(status, "NORMAL_UNSPECIFIED")
