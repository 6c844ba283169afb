"""The fake switch as a whole, but for its sockets: datagrams, commands and events in; datagrams and events out.

What must hold: it is the laboratory's and imitates a FreeSWITCH as it was measured; it never moves audio, asks for no
password of a telephone, and has one dialplan. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from zcluster.errors import BadMessage
from zcluster.lab.fake_switch import api
from zcluster.lab.fake_switch.calls import Calls
from zcluster.lab.fake_switch.core_db import CoreDatabase
from zcluster.lab.fake_switch.dialog import reply
from zcluster.lab.fake_switch.dialplan import Route, route
from zcluster.lab.fake_switch.event_thread import EventThread
from zcluster.lab.fake_switch.exchange import Exchange
from zcluster.lab.fake_switch.leg import Direction
from zcluster.lab.fake_switch.limits import Limits
from zcluster.lab.fake_switch.message import Request, parameter, parse, read_uri, uri_text
from zcluster.lab.fake_switch.names import Names
from zcluster.lab.fake_switch.outputs import Datagram, Fired, Now, Source, Write
from zcluster.lab.fake_switch.recovery import Recoveries, StoredRow, read_leg
from zcluster.lab.fake_switch.registrations import (
    DEFAULT_EXPIRES_S,
    LATE_MARGIN_S,
    MULTICAST,
    Registration,
    Registrations,
)
from zcluster.lab.fake_switch.rows import Identity
from zcluster.lab.fake_switch.settings import Place, SwitchPlan
from zcluster.lab.fake_switch.state import Profile, SwitchState
from zcluster.switch.frames import Event

HEARTBEAT_MS = 20_000
_EXPIRY_LOOK_MS = 1000
_LONGEST_EXPIRES_S = 86_400
_HEART = Source("switch_core.c", "send_heartbeat", 95)
_JOB = Source("mod_event_socket.c", "api_exec", 1580)


class FakeSwitch:
    """One life of one switch. `host_name` and chance are handed in, as time is."""

    def __init__(
        self, plan: SwitchPlan, database: CoreDatabase, host_name: str, chance: Random, now: Now
    ) -> None:
        names = Names(chance)
        identity = Identity(names.uuid(), plan.switchname)
        limits = Limits()
        self.refused_datagrams = 0
        self._names = names
        self._exchange = Exchange()
        self.state = SwitchState(
            plan=plan,
            identity=identity,
            host_name=host_name,
            begun=now,
            calls=Calls(self._exchange, limits, names, identity),
            registrations=Registrations(plan.switchname),
            limits=limits,
            events=EventThread(identity, host_name, names),
            database=database,
            recoveries=Recoveries(plan.leg_recovery_ms),
            profiles={each.name: Profile(each, plan.begins_in_standby) for each in plan.profiles},
            # The real one tells "switchname" not here but by the command of that name.
            variables={"hostname": host_name, "local_ip_v4": "127.0.0.1", "core_uuid": identity.core_uuid},
        )
        self._heartbeat_ms = now.mono_ms + HEARTBEAT_MS
        self._expiry_ms = now.mono_ms + _EXPIRY_LOOK_MS

    def deadline(self) -> int:
        """When `advance` must be called at the latest."""
        state = self.state
        due = (
            self._exchange.deadline(),
            state.events.deadline(),
            state.database.deadline(),
            state.recoveries.deadline(),
        )
        return min(self._heartbeat_ms, self._expiry_ms, *(each for each in due if each is not None))

    def datagram(self, profile: str, peer: Place, data: bytes, now: Now) -> list[Datagram]:
        """What came on a profile's socket; what is to be sent. What is no SIP is counted and dropped."""
        found = self.state.running(profile)
        if found is None:
            return []
        try:
            message = parse(data)
            if isinstance(message, Request):
                self._request(found, peer, message, now)
            elif waiting := self._exchange.answered_by(message):
                self.state.calls.answered(waiting, message, now)
        except BadMessage:
            self.refused_datagrams += 1
        return self._take(now)

    def undeliverable(self, datagram: Datagram, now: Now) -> list[Datagram]:
        """The kernel refused to send this datagram of ours; what is to be sent because of that."""
        given_up = self._exchange.undeliverable(parse(datagram.data))
        if given_up and given_up.request and given_up.request.method == "INVITE":
            self.state.calls.given_up(given_up.leg, now)
        return self._take(now)

    def ask(self, command: str, finish: Callable[[str], None], now: Now) -> list[Datagram]:
        """An api command; its output goes to `finish`, of a recover when it is through."""
        api.run(self.state, command, finish, now)
        return self._take(now)

    def finish_job(self, job: str, command: str, output: str, now: Now) -> None:
        """A bgapi is done: tells it by an event, which takes the way of all events."""
        name, _, argument = command.partition(" ")
        about = {"Job-UUID": job, "Job-Command": name}
        if argument:
            about["Job-Command-Arg"] = argument
        self.state.fire(Fired("BACKGROUND_JOB", _JOB, about, body=output or "-ERR no reply\n"), now)

    def send_event(self, event: Event, now: Now) -> None:
        """A client's sendevent."""
        self.state.events.send(event, now)

    def advance(self, now: Now) -> tuple[list[Datagram], list[Event]]:
        """Lets time pass: what is to be sent, and the events that reach their listeners now."""
        state = self.state
        for each in self._exchange.advance(now):
            if each.request is None or each.request.method == "INVITE":
                state.calls.given_up(each.leg, now)
        for done in state.recoveries.advance(now, lambda row: self._resurrect(row, now)):
            done.finish(done.recovered)
        if now.mono_ms >= self._expiry_ms:
            self._expiry_ms = now.mono_ms + _EXPIRY_LOOK_MS
            awake = {name for name, each in state.profiles.items() if not each.is_in_standby}
            self._settle(state.registrations.expire(awake, now.wall_s), now)
        if now.mono_ms >= self._heartbeat_ms:
            self._heartbeat_ms = now.mono_ms + HEARTBEAT_MS
            self._beat(now)
        datagrams = self._take(now)
        state.database.advance(now.mono_ms)
        events = state.events.take(now)
        for event in events:
            if event.subclass == MULTICAST:
                lower = {name.lower(): value for name, value in event.headers.items()}
                state.registrations.inject(lower, set(state.profiles), now.wall_s)
        return datagrams, events

    def _request(self, profile: Profile, peer: Place, request: Request, now: Now) -> None:
        calls = self.state.calls
        if request.method != "ACK" and self._exchange.answers_again(request):
            return
        if (leg := calls.leg_of(request)) is not None:
            calls.inside(leg, peer, request, now)
        elif request.method == "CANCEL":
            calls.cancel(profile.plan, peer, request, now)
        elif request.method != "ACK" and not self._refuses(profile, peer, request):
            self._begin(profile, peer, request, now)

    def _refuses(self, profile: Profile, peer: Place, request: Request) -> bool:
        """Whether the switch or the profile takes nothing new (sofia.c, 2443-2472)."""
        if self.state.is_paused_inbound and request.method != "OPTIONS":
            retry = (("Retry-After", "300"),)
            self._respond(profile, peer, request, 503, "Maximum Calls In Progress", retry)
            return True
        if profile.is_in_standby:
            self._respond(profile, peer, request, 503, "System Paused")
        return profile.is_in_standby

    def _begin(self, profile: Profile, peer: Place, request: Request, now: Now) -> None:
        match request.method:
            case "INVITE":
                way = self._route(profile, request)
                profile.calls_in += 1
                profile.calls_out += way.way is not None
                self.state.calls.invite(profile.plan, peer, request, way, now)
            case "OPTIONS":
                self._respond(profile, peer, request, 200, "OK")
            case "REGISTER":
                self._register(profile, peer, request, now)
            case "BYE" | "INFO" | "UPDATE" | "NOTIFY":
                self._respond(profile, peer, request, 481, "Call Does Not Exist")
            case _:
                self._respond(profile, peer, request, 501, "Not Implemented")

    def _route(self, profile: Profile, request: Request) -> Route:
        user, plan = read_uri(request.uri).user, self.state.plan
        entry = self.state.registrations.find(profile.plan.name, user)
        return route(user, entry, plan.carrier, plan.trunk_limit)

    def _register(self, profile: Profile, peer: Place, request: Request, now: Now) -> None:
        who, contact = read_uri(request.get("To")), request.get("Contact")
        text = parameter(contact, "expires") or request.get("Expires")
        expires_s = (
            min(int(text), _LONGEST_EXPIRES_S) if text.isdecimal() and len(text) < 8 else DEFAULT_EXPIRES_S
        )
        registrations, name = self.state.registrations, profile.plan.name
        if not contact:
            self._respond(profile, peer, request, 200, "OK")
            return
        if expires_s == 0:
            self._settle(registrations.unregister(name, who.user, who.host), now)
            self._respond(profile, peer, request, 200, "OK")
            return
        uri = uri_text(contact)
        read_uri(uri)
        entry = Registration(
            profile=name,
            user=who.user,
            host=who.host,
            contact=f'"" <{uri}>',
            call_id=request.call_id,
            agent=request.get("User-Agent") or "unknown",
            network=peer,
            ends_s=now.wall_s + expires_s + LATE_MARGIN_S,
            realm=who.host,
        )
        self._settle(registrations.register(entry, expires_s), now)
        granted = (("Contact", f"<{uri}>;expires={expires_s}"),)
        self._respond(profile, peer, request, 200, "OK", granted)

    def _resurrect(self, row: StoredRow, now: Now) -> bool:
        state = self.state
        leg = read_leg(row, state.plan.profile, now)
        if leg is None or row.uuid in state.calls.legs:  # "Duplicate UUID!"
            return False
        is_inbound = leg.direction is Direction.INBOUND
        if state.is_paused_inbound if is_inbound else state.is_paused_outbound:
            return False
        state.calls.resurrect(leg, now)
        return True

    def _beat(self, now: Now) -> None:
        state, legs = self.state, len(self.state.calls.legs)
        about = {
            "Event-Info": "System Ready",
            "Up-Time": api.uptime(state, now),
            "FreeSWITCH-Version": "1.11.3-dev~64bit",
            "Uptime-msec": str(now.mono_ms - state.begun.mono_ms),
            "Session-Count": str(legs),
            "Max-Sessions": "5000",
            "Session-Per-Sec": "200",
            "Session-Since-Startup": str(state.calls.sessions),
            "Idle-CPU": "98.000000",
        }
        state.fire(Fired("HEARTBEAT", _HEART, about), now)

    def _respond(
        self,
        profile: Profile,
        peer: Place,
        request: Request,
        status: int,
        reason: str,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        answer = reply(request, peer, status, reason, self._names.tag(), headers)
        self._exchange.respond(profile.plan.name, peer, request, answer)

    def _settle(self, outputs: list[Fired | Write], now: Now) -> None:
        for each in outputs:
            if isinstance(each, Fired):
                self.state.fire(each, now)
            else:
                self.state.database.push(each, now.mono_ms)

    def _take(self, now: Now) -> list[Datagram]:
        calls, exchange = self.state.calls, self._exchange
        self._settle([each for each in calls.out if not isinstance(each, Datagram)], now)
        calls.out.clear()
        datagrams, exchange.out = exchange.out, []
        return datagrams
