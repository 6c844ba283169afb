"""One dialog's identity and counters, and the messages that it makes.

What must hold: a request inside a dialog has the dialog's Call-ID, both tags and a CSeq above the last one (RFC
3261, 12.2.1.1), also when the dialog was begun by another switch and only its record reached this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from zcluster.errors import BadMessage
from zcluster.lab.fake_switch.message import (
    VERSION,
    Headers,
    Request,
    Response,
    display_name,
    read_uri,
    tag_of,
    uri_text,
)
from zcluster.lab.fake_switch.settings import Place, ProfilePlan

AGENT = "zcluster-lab-fake-switch"
SIP_PORT = 5060
_NTP_EPOCH = 2_208_988_800
_ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER"


@dataclass(slots=True)
class Dialog:
    """`local` and `remote`: From or To with its tag. `target`: the URI that requests go to, at `peer`."""

    profile: ProfilePlan
    call_id: str
    local: str
    remote: str
    target: str
    peer: Place
    local_cseq: int
    remote_cseq: int = 0
    routes: tuple[str, ...] = ()

    @property
    def local_tag(self) -> str:
        """Our tag."""
        return tag_of(self.local)

    @property
    def contact(self) -> str:
        """Where the other side finds us."""
        return contact_of(self.profile)

    def request(
        self, method: str, branch: str, headers: Headers = (), body: str = "", cseq: int | None = None
    ) -> Request:
        """A request with the next CSeq, or with that one (ACK and CANCEL repeat their INVITE's)."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        content: Headers = (("Content-Type", "application/sdp"),) if body else ()
        return Request(
            (
                ("Via", f"{VERSION}/UDP {self.profile.address}:{self.profile.port};rport;branch={branch}"),
                *(("Route", route) for route in self.routes),
                ("Max-Forwards", "70"),
                ("From", self.local),
                ("To", self.remote),
                ("Call-ID", self.call_id),
                ("CSeq", f"{cseq} {method}"),
                ("Contact", self.contact),
                ("User-Agent", AGENT),
                *headers,
                *content,
            ),
            body,
            method,
            self.target,
        )

    def refresh(self, message: Request | Response) -> None:
        """The other side's newest Contact, where requests go from now on (12.2.1.2)."""
        if contact := message.get("Contact"):
            self.target = uri_text(contact)
            self.peer = place_of(self.target)


def reply(
    request: Request,
    peer: Place,
    status: int,
    reason: str,
    to_tag: str = "",
    headers: Headers = (),
    body: str = "",
) -> Response:
    """A response to a request that came from `peer` (RFC 3261, 8.2.6; RFC 3581)."""
    vias = request.all("Via")
    top = vias[0][1].replace(";rport;", f";rport={peer[1]};").removesuffix(";rport")
    if "received=" not in top:
        top = f"{top};received={peer[0]}"
    to = request.get("To")
    if to_tag and not tag_of(to):
        to = f"{to};tag={to_tag}"
    kept = request.all("Record-Route") if status < 300 and request.method == "INVITE" else ()
    content: Headers = (("Content-Type", "application/sdp"),) if body else ()
    return Response(
        (
            ("Via", top),
            *vias[1:],
            *kept,
            ("From", request.get("From")),
            ("To", to),
            ("Call-ID", request.call_id),
            ("CSeq", request.get("CSeq")),
            ("User-Agent", AGENT),
            ("Allow", _ALLOW),
            *headers,
            *content,
        ),
        body,
        status,
        reason,
    )


def begin_as_callee(request: Request, profile: ProfilePlan, peer: Place, tag: str, cseq: int) -> Dialog:
    """The dialog that this INVITE begins."""
    return Dialog(
        profile=profile,
        call_id=request.call_id,
        local=f"{request.get('To')};tag={tag}",
        remote=request.get("From"),
        target=uri_text(request.get("Contact") or request.get("From")),
        peer=peer,
        local_cseq=cseq,
        remote_cseq=request.cseq[0],
        routes=tuple(value for _, value in request.all("Record-Route")),
    )


def first_cseq(wall_s: int) -> int:
    """Where sofia-sip begins to count a dialog's requests: half the seconds of NTP's era (nta.c)."""
    return ((wall_s + _NTP_EPOCH) >> 1) & 0x7FFFFFF


def contact_of(profile: ProfilePlan) -> str:
    """The profile's own contact."""
    return f"<sip:mod_sofia@{profile.address}:{profile.port}>"


def named(address: str) -> str:
    """The display name of a From or To, or else its user."""
    return display_name(address) or read_uri(address).user


def is_at(uri: str, place: Place) -> bool:
    """Whether a URI names this host and port; one with a name in it names none."""
    found = read_uri(uri)
    return (found.host.strip("[]"), found.port or SIP_PORT) == place


def place_of(uri: str) -> Place:
    """Host and port of a URI. Raises BadMessage for a host that is a name: looking one up would block."""
    found = read_uri(uri)
    host = found.host.strip("[]")
    try:
        ip_address(host)
    except ValueError as problem:
        raise BadMessage(f"{host[:80]!r} is no address", "uri") from problem
    return host, found.port or SIP_PORT
