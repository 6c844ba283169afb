"""The events that tell of a leg, with the header names of a real switch's.

What must hold: no header here that a real switch was not seen to send (tests/lab/test_fake_switch_events.py holds
both against each other). Source: switch_channel_event_set_data and the captures.
"""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.lab.fake_switch.leg import Leg, Stage
from zcluster.lab.fake_switch.outputs import Fired, Source

_CORE = "switch_core_state_machine.c"
_SOURCES = {
    "CHANNEL_CREATE": Source(_CORE, "switch_core_session_run", 626),
    "CHANNEL_PROGRESS": Source("switch_channel.c", "switch_channel_perform_mark_ring_ready_value", 3507),
    "CHANNEL_ANSWER": Source("switch_channel.c", "switch_channel_perform_mark_answered", 3848),
    "CHANNEL_EXECUTE": Source("switch_core_session.c", "switch_core_session_exec", 2949),
    "CHANNEL_EXECUTE_COMPLETE": Source("switch_core_session.c", "switch_core_session_exec", 2972),
    "CHANNEL_BRIDGE": Source("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1689),
    "CHANNEL_UNBRIDGE": Source("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1879),
    "CHANNEL_HANGUP": Source("switch_channel.c", "switch_channel_perform_hangup", 3447),
    "CHANNEL_HANGUP_COMPLETE": Source(_CORE, "switch_core_session_reporting_state", 943),
    "CHANNEL_DESTROY": Source("switch_core_session.c", "switch_core_session_perform_destroy", 1588),
}
_NUMBERS = {"CS_INIT": 1, "CS_EXECUTE": 4, "CS_EXCHANGE_MEDIA": 5, "CS_CONSUME_MEDIA": 7, "CS_HANGUP": 10}
_CODEC = {
    f"Channel-{way}-Codec-{what}": value
    for way in ("Read", "Write")
    for what, value in (("Name", "PCMU"), ("Rate", "8000"), ("Bit-Rate", "64000"))
}


def channel_event(name: str, leg: Leg, other: Leg | None, more: Mapping[str, str] | None = None) -> Fired:
    """The event of that name about a leg. `other`: its partner, while there is one."""
    state = "CS_INIT" if name == "CHANNEL_CREATE" else leg.state
    if name in ("CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY"):
        state = "CS_REPORTING"
    headers = {
        **_first(name, leg, other),
        "Channel-State": state,
        "Channel-Call-State": _call_state(leg),
        "Channel-State-Number": str(_NUMBERS.get(state, 11)),
        "Channel-Name": leg.name,
        "Unique-ID": leg.uuid,
        "Call-Direction": leg.direction.value,
        "Presence-Call-Direction": leg.direction.value,
        "Channel-HIT-Dialplan": "true" if leg.is_inbound else "false",
        "Channel-Call-UUID": leg.variables.get("call_uuid", leg.uuid),
        "Answer-State": _answer_state(leg),
        **({"Hangup-Cause": leg.hangup_cause} if leg.hangup_cause else {}),
        **_CODEC,
        **_caller(leg),
        **(_other(leg, other) if other else {}),
        **{f"variable_{variable}": value for variable, value in leg.variables.items()},
        **(more or {}),
    }
    return Fired(name, _SOURCES[name], headers)


def _first(name: str, leg: Leg, other: Leg | None) -> dict[str, str]:
    """What some events say before all else."""
    if name == "CHANNEL_HANGUP_COMPLETE":
        return {"Hangup-Cause": leg.hangup_cause}
    if name in ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE") and other is not None:
        return {"Bridge-A-Unique-ID": leg.uuid, "Bridge-B-Unique-ID": other.uuid}
    return {}


def _call_state(leg: Leg) -> str:
    if leg.stage is Stage.ENDED:
        return "HANGUP"
    if leg.stage is Stage.ANSWERED:
        return "ACTIVE"
    return "RINGING" if leg.is_ringing else "DOWN"


def _answer_state(leg: Leg) -> str:
    if leg.stage is Stage.ENDED:
        return "hangup"
    return "ringing" if leg.stage is Stage.CALLING else "answered"


def _identity(prefix: str, leg: Leg, logical: str) -> dict[str, str]:
    """The part that a leg's own headers and its partner's have in common."""
    found = {
        f"{prefix}-Direction": leg.direction.value,
        f"{prefix}-Logical-Direction": logical,
        f"{prefix}-Username": leg.caller,
        f"{prefix}-Dialplan": "XML",
        f"{prefix}-Caller-ID-Name": leg.caller,
        f"{prefix}-Caller-ID-Number": leg.caller,
        f"{prefix}-Orig-Caller-ID-Name": leg.caller,
        f"{prefix}-Orig-Caller-ID-Number": leg.caller,
        f"{prefix}-Network-Addr": leg.dialog.peer[0],
        f"{prefix}-ANI": leg.caller,
        f"{prefix}-Destination-Number": leg.destination,
        f"{prefix}-Unique-ID": leg.uuid,
        f"{prefix}-Source": "mod_sofia",
        f"{prefix}-Context": "default",
        f"{prefix}-Channel-Name": leg.name,
        f"{prefix}-Profile-Created-Time": str(leg.created_us),
        f"{prefix}-Channel-Created-Time": str(leg.created_us),
        f"{prefix}-Channel-Answered-Time": str(leg.answered_us),
        f"{prefix}-Channel-Progress-Time": str(leg.created_us if leg.is_ringing else 0),
        f"{prefix}-Channel-Progress-Media-Time": "0",
        f"{prefix}-Channel-Hangup-Time": str(leg.hangup_us),
        f"{prefix}-Channel-Transfer-Time": "0",
        f"{prefix}-Channel-Resurrect-Time": str(leg.resurrected_us),
        f"{prefix}-Channel-Bridged-Time": str(leg.bridged_us),
        f"{prefix}-Channel-Last-Hold": "0",
        f"{prefix}-Channel-Hold-Accum": "0",
        f"{prefix}-Screen-Bit": "true",
        f"{prefix}-Privacy-Hide-Name": "false",
        f"{prefix}-Privacy-Hide-Number": "false",
    }
    if leg.is_ringing or leg.bridged_us or not leg.is_inbound:
        found |= {f"{prefix}-Callee-ID-Name": "Outbound Call", f"{prefix}-Callee-ID-Number": leg.destination}
    return found


def _caller(leg: Leg) -> dict[str, str]:
    return _identity("Caller", leg, leg.direction.value) | {"Caller-Profile-Index": "1"}


def _other(leg: Leg, other: Leg) -> dict[str, str]:
    kind = {"Other-Type": "originatee" if leg.is_inbound else "originator"}
    return kind | _identity("Other-Leg", other, "inbound")
