"""Which events of the switch the telephony core lives by.

What must hold: each is named, because what is subscribed to is sent: `event ALL` on a busy switch is a flood.
"""

from __future__ import annotations

from zcluster.telephony.limits import USED
from zcluster.telephony.pulse import PROFILE_EVENTS, PROFILE_SUBCLASSES
from zcluster.telephony.registrations import SUBCLASSES as REGISTRATION_SUBCLASSES
from zcluster.telephony.settings import TelephonySettings

CALL_EVENTS = (
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_ANSWER",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_DESTROY",
)


def names_for(settings: TelephonySettings) -> tuple[str, ...]:
    """Names of events, those of the file's conditions among them."""
    conditions = (each.event for each in settings.conditions if not _is_subclass(each.event))
    return tuple(dict.fromkeys((*CALL_EVENTS, *PROFILE_EVENTS, *conditions)))


def subclasses_for(settings: TelephonySettings) -> tuple[str, ...]:
    """Subclasses of CUSTOM events."""
    conditions = (each.event for each in settings.conditions if _is_subclass(each.event))
    return tuple(dict.fromkeys((*REGISTRATION_SUBCLASSES, USED, *PROFILE_SUBCLASSES, *conditions)))


def _is_subclass(event: str) -> bool:
    return "::" in event
