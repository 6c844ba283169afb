"""The calls: a back-to-back user agent in miniature, from a caller's INVITE to the last BYE.

What must hold: a call has two legs with a dialog each, or one for a number that is answered here; whatever ends one
leg ends the other; every leg that is answered has a row in `recovery` until it ends. No sockets and no clock; what is
to be done gathers in `out`. No audio passes: only the descriptions say where it would.
"""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.lab.fake_switch import rows, variables
from zcluster.lab.fake_switch.causes import (
    CANCELLED,
    CLEARING,
    CONGESTION,
    NOT_REGISTERED,
    TIMER_EXPIRED,
    cause_of,
    status_of,
)
from zcluster.lab.fake_switch.channel_events import channel_event
from zcluster.lab.fake_switch.dialog import (
    Dialog,
    begin_as_callee,
    contact_of,
    first_cseq,
    is_at,
    named,
    reply,
)
from zcluster.lab.fake_switch.dialplan import Route
from zcluster.lab.fake_switch.exchange import Exchange, Waiting
from zcluster.lab.fake_switch.leg import Direction, Leg, Stage
from zcluster.lab.fake_switch.limits import BACKEND, REALM, Limits
from zcluster.lab.fake_switch.message import Request, Response, read_uri, tag_of
from zcluster.lab.fake_switch.names import Names
from zcluster.lab.fake_switch.outputs import Datagram, Fired, Now, Output, Source
from zcluster.lab.fake_switch.settings import Place, ProfilePlan

_LIMIT_FIRED = Source("switch_limit.c", "switch_limit_fire_event", 64)


class Calls:
    """All legs of one switch, by uuid and by dialog."""

    def __init__(self, exchange: Exchange, limits: Limits, names: Names, identity: rows.Identity) -> None:
        self.legs: dict[str, Leg] = {}
        self.out: list[Output] = []
        self._exchange = exchange
        self._limits = limits
        self._names = names
        self._identity = identity
        self._dialogs: dict[tuple[str, str], Leg] = {}
        self.sessions = 0

    # What comes from outside a dialog

    def invite(self, profile: ProfilePlan, peer: Place, request: Request, route: Route, now: Now) -> None:
        """A caller's INVITE that is let in."""
        caller = self._begin_caller(profile, peer, request, now)
        self._exchange.respond(profile.name, peer, request, reply(request, peer, 100, "Trying"))
        self._fire("CHANNEL_CREATE", caller)
        if not route.is_known:
            self.hang_up(caller, NOT_REGISTERED, now)
        elif route.limit and not self._is_within_limit(caller, *route.limit):
            self.hang_up(caller, CONGESTION, now)
        elif route.way is None:
            self._answer_caller(caller, request.body, now)
        else:
            self._call(caller, route.target, route.way, now)

    def cancel(self, profile: ProfilePlan, peer: Place, request: Request, now: Now) -> None:
        """A caller gives up."""
        leg = next((leg for leg in self.legs.values() if _is_invited_by(leg, request)), None)
        status, reason = (200, "OK") if leg else (481, "Call/Transaction Does Not Exist")
        self._exchange.respond(profile.name, peer, request, reply(request, peer, status, reason))
        if leg:
            self.hang_up(leg, CANCELLED, now)

    # What comes inside one

    def leg_of(self, request: Request) -> Leg | None:
        """The leg whose dialog this is in."""
        return self._dialogs.get((request.call_id, tag_of(request.get("To"))))

    def inside(self, leg: Leg, peer: Place, request: Request, now: Now) -> None:
        """A request inside the leg's dialog."""
        number = request.cseq[0]
        if request.method == "ACK":
            self._exchange.acknowledged(leg.uuid)
            if leg.stage is Stage.ANSWERED:
                self._track(leg)
            return
        if number <= leg.dialog.remote_cseq:
            self._respond(leg, peer, request, 500, "Server Internal Error")
            return
        leg.dialog.remote_cseq = number
        match request.method:
            case "BYE":
                self._respond(leg, peer, request, 200, "OK")
                leg.variables["sip_hangup_disposition"] = "recv_bye"
                self.hang_up(leg, CLEARING, now, says_bye=False)
            case "INVITE":
                leg.dialog.refresh(request)
                leg.variables |= variables.media_of(request.body)
                contact = (("Contact", leg.dialog.contact),)
                answer = reply(request, peer, 200, "OK", headers=contact, body=leg.sdp)
                sent = self._exchange.respond(leg.profile.name, peer, request, answer)
                self._exchange.repeat_until_acknowledged(leg.uuid, sent, now)
            case "OPTIONS" | "INFO" | "UPDATE" | "MESSAGE" | "NOTIFY":
                self._respond(leg, peer, request, 200, "OK")
            case _:
                self._respond(leg, peer, request, 405, "Method Not Allowed")

    def answered(self, waiting: Waiting, response: Response, now: Now) -> None:
        """An answer to a request of ours."""
        leg = self.legs.get(waiting.leg)
        if waiting.request.method != "INVITE":
            return
        if response.status >= 200:
            self._acknowledge(waiting, response)
        if leg is None or leg.stage is Stage.ENDED:
            return
        if response.status >= 300:
            self.hang_up(leg, cause_of(response.status), now, says_bye=False)
        elif response.status >= 200:
            leg.invite_branch = ""
            if leg.stage is Stage.CALLING:
                self._callee_answered(leg, response, now)
            elif leg.stage is Stage.RECOVERING:
                self._recovered(leg, response, now)
        elif response.status > 100 and not leg.is_ringing:
            self._callee_rings(leg)

    def given_up(self, uuid: str, now: Now) -> None:
        """Nobody answered a request of this leg."""
        if leg := self.legs.get(uuid):
            self.hang_up(leg, TIMER_EXPIRED, now)

    # Ending

    def hang_up(self, leg: Leg, cause: str, now: Now, says_bye: bool = True) -> None:
        """Ends the leg and its partner."""
        if leg.stage is Stage.ENDED:
            return
        former, leg.hangup_cause, leg.hangup_us = leg.stage, cause, now.wall_us
        leg.go(Stage.ENDED)
        other = self.legs.get(leg.partner)
        self._fire("CHANNEL_HANGUP", leg)
        if says_bye or leg.invite is not None:
            self._say_goodbye(leg, former, now)
        if leg.bridged_us and leg.is_inbound:
            self._fire("CHANNEL_UNBRIDGE", leg)
        if other:
            self.hang_up(other, cause, now)
        leg.variables |= variables.of_end(leg)
        self._fire("CHANNEL_HANGUP_COMPLETE", leg)
        self._fire("CHANNEL_DESTROY", leg)
        self._forget(leg)

    # Recovery

    def resurrect(self, leg: Leg, now: Now) -> None:
        """Goes on with a leg of another switch: re-invites its other side."""
        self.sessions += 1
        self._keep(leg)
        self._fire("CHANNEL_CREATE", leg)
        self.out += rows.channel_added(leg, self._identity)
        self._send_invite(leg, now, cseq=leg.dialog.local_cseq + 1)

    # Inside

    def _begin_caller(self, profile: ProfilePlan, peer: Place, request: Request, now: Now) -> Leg:
        self.sessions += 1
        tag = self._names.tag()
        leg = Leg(
            uuid=self._names.uuid(),
            direction=Direction.INBOUND,
            profile=profile,
            dialog=begin_as_callee(request, profile, peer, tag, first_cseq(now.wall_s)),
            destination=read_uri(request.uri).user,
            caller=read_uri(request.get("From")).user,
            session=self.sessions,
            created_us=now.wall_us,
            invite=request,
            invite_peer=peer,
        )
        leg.variables = variables.of_incoming(leg, request, peer, now.wall_us)
        self._keep(leg)
        self.out += rows.channel_added(leg, self._identity)
        return leg

    def _call(self, caller: Leg, target: str, way: Place, now: Now) -> None:
        self.sessions += 1
        own, name = caller.profile, named(caller.dialog.remote)
        leg = Leg(
            uuid=self._names.uuid(),
            direction=Direction.OUTBOUND,
            profile=own,
            dialog=Dialog(
                profile=own,
                call_id=self._names.uuid(),
                local=f'"{name}" <sip:{caller.caller}@{own.address}>;tag={self._names.tag()}',
                remote=f"<{target}>",
                target=target,
                peer=way,
                local_cseq=first_cseq(now.wall_s),
                routes=() if is_at(target, way) else (f"<sip:{way[0]}:{way[1]}>",),
            ),
            destination=read_uri(target).user,
            caller=caller.caller,
            session=self.sessions,
            created_us=now.wall_us,
            partner=caller.uuid,
        )
        caller.partner = leg.uuid
        leg.variables = variables.of_outgoing(leg, caller, target)
        self._keep(leg)
        self._fire("CHANNEL_CREATE", leg)
        self.out += rows.channel_added(leg, self._identity)
        self._send_invite(leg, now, cseq=leg.dialog.local_cseq)

    def _send_invite(self, leg: Leg, now: Now, cseq: int) -> None:
        leg.dialog.local_cseq = cseq
        leg.invite_branch = self._names.branch()
        request = leg.dialog.request("INVITE", leg.invite_branch, body=leg.sdp, cseq=cseq)
        self._exchange.send(Waiting(leg.uuid, leg.profile.name, leg.dialog.peer, request), now)

    def _callee_rings(self, leg: Leg) -> None:
        leg.is_ringing = True
        self._fire("CHANNEL_PROGRESS", leg)
        caller = self.legs.get(leg.partner)
        if caller and caller.invite and not caller.is_ringing:
            caller.is_ringing = True
            self._answer(caller, 180, "Ringing")
            self._fire("CHANNEL_PROGRESS", caller)

    def _callee_answered(self, leg: Leg, response: Response, now: Now) -> None:
        self._mark_answered(leg, response.body, response.get("Contact"), now)
        caller = self.legs.get(leg.partner)
        if caller is None or caller.invite is None:
            self.hang_up(leg, CANCELLED, now)
            return
        self._answer_caller(caller, caller.invite.body, now)
        self._bridge(caller, leg, now)

    def _answer_caller(self, caller: Leg, offer: str, now: Now) -> None:
        self._mark_answered(caller, offer, "", now)
        sent = self._answer(caller, 200, "OK")
        self._exchange.repeat_until_acknowledged(caller.uuid, sent, now)
        caller.invite = None

    def _mark_answered(self, leg: Leg, remote_sdp: str, contact: str, now: Now) -> None:
        leg.go(Stage.ANSWERED)
        leg.answered_us = now.wall_us
        leg.variables |= variables.of_answer(leg, remote_sdp, contact)
        self._fire("CHANNEL_ANSWER", leg)
        self.out += rows.channel_changed(leg)
        self._track(leg)

    def _bridge(self, caller: Leg, callee: Leg, now: Now) -> None:
        for leg, other in ((caller, callee), (callee, caller)):
            leg.bridged_us = now.wall_us
            leg.variables |= variables.of_bridge(other, is_originator=leg is caller)
        self._fire("CHANNEL_BRIDGE", caller)
        self.out += rows.bridged(caller, callee, self._identity, now)
        for leg in (caller, callee):
            self._track(leg)

    def _recovered(self, leg: Leg, response: Response, now: Now) -> None:
        """The other side took our re-INVITE: the leg lives here now, and is bridged when its partner is as far."""
        leg.go(Stage.ANSWERED)
        leg.variables |= variables.media_of(response.body)
        self._track(leg)
        other = self.legs.get(leg.partner)
        if other and other.stage is Stage.ANSWERED:
            caller, callee = (leg, other) if leg.is_inbound else (other, leg)
            self._bridge(caller, callee, now)

    def _is_within_limit(self, leg: Leg, resource: str, maximum: int) -> bool:
        key, data = f"{REALM}_{resource}", f"{BACKEND} {REALM} {resource} {maximum}"
        about = {"Application": "limit", "Application-Data": data}
        self._fire("CHANNEL_EXECUTE", leg, about)
        is_within = self._limits.take(key, maximum, leg.uuid)
        if is_within:
            usage = str(self._limits.usage(key))
            event = {"backend": BACKEND, "realm": REALM, "key": resource, "usage": usage, "rate": "0"}
            event |= {"max": str(maximum), "ratemax": str(maximum)}
            self.out.append(Fired("CUSTOM", _LIMIT_FIRED, event, "limit::usage"))
            leg.variables |= {"limit_usage": usage, f"limit_usage_{key}": usage, "limit_rate": "0"}
            leg.variables |= {f"limit_rate_{key}": "0", "limit_backend": BACKEND}
        self._fire("CHANNEL_EXECUTE_COMPLETE", leg, {**about, "Application-Response": "_none_"})
        return is_within

    def _say_goodbye(self, leg: Leg, former: Stage, now: Now) -> None:
        if leg.invite is not None:
            self._answer(leg, *status_of(leg.hangup_cause))
            leg.invite = None
            return
        branch, cseq = self._names.branch(), None
        method = "BYE"
        if former is Stage.CALLING:
            method, branch, cseq = "CANCEL", leg.invite_branch, leg.dialog.local_cseq
        leg.variables.setdefault("sip_hangup_disposition", "send_bye" if method == "BYE" else "send_cancel")
        request = leg.dialog.request(method, branch, cseq=cseq)
        self._exchange.send(Waiting(leg.uuid, leg.profile.name, leg.dialog.peer, request), now)

    def _acknowledge(self, waiting: Waiting, response: Response) -> None:
        leg, request = self.legs.get(waiting.leg), waiting.request
        is_success = response.status < 300
        if leg is not None and is_success:
            leg.dialog.remote = response.get("To")
            leg.dialog.refresh(response)
            if leg.stage is Stage.CALLING:
                leg.dialog.routes = tuple(value for _, value in reversed(response.all("Record-Route")))
                self._dialogs[leg.dialog.call_id, leg.dialog.local_tag] = leg
            ack = leg.dialog.request("ACK", self._names.branch(), cseq=request.cseq[0])
            self._exchange.acknowledge(waiting, leg.dialog.peer, ack)
            return
        kept = ("Via", "Route", "From", "Call-ID", "Max-Forwards")
        headers = tuple(pair for pair in request.headers if pair[0] in kept)
        ends = (("To", response.get("To")), ("CSeq", f"{request.cseq[0]} ACK"))
        self._exchange.acknowledge(waiting, waiting.peer, Request((*headers, *ends), "", "ACK", request.uri))

    def _answer(self, leg: Leg, status: int, reason: str) -> Datagram:
        """Answers the INVITE that this leg waits with."""
        assert leg.invite is not None
        contact = (("Contact", contact_of(leg.profile)),) if status < 300 else ()
        body = leg.sdp if status == 200 else ""
        tag = leg.dialog.local_tag
        answer = reply(leg.invite, leg.invite_peer, status, reason, tag, contact, body)
        return self._exchange.respond(leg.profile.name, leg.invite_peer, leg.invite, answer)

    def _respond(self, leg: Leg, peer: Place, request: Request, status: int, reason: str) -> None:
        self._exchange.respond(leg.profile.name, peer, request, reply(request, peer, status, reason))

    def _track(self, leg: Leg) -> None:
        self.out += rows.tracked(leg, self._identity)
        leg.is_tracked = True

    def _fire(self, name: str, leg: Leg, more: Mapping[str, str] | None = None) -> None:
        self.out.append(channel_event(name, leg, self.legs.get(leg.partner), more))

    def _keep(self, leg: Leg) -> None:
        self.legs[leg.uuid] = leg
        self._dialogs[leg.dialog.call_id, leg.dialog.local_tag] = leg

    def _forget(self, leg: Leg) -> None:
        self._limits.release(leg.uuid)
        self._exchange.acknowledged(leg.uuid)
        self.legs.pop(leg.uuid, None)
        self._dialogs.pop((leg.dialog.call_id, leg.dialog.local_tag), None)
        self.out += rows.ended(leg)


def _is_invited_by(leg: Leg, cancel: Request) -> bool:
    """Whether the CANCEL is of the INVITE that this leg waits with (RFC 3261, 9.2: the same branch)."""
    return leg.invite is not None and leg.invite.branch == cancel.branch
