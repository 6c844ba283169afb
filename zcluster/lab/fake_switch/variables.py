"""The channel variables that a leg has, under the names that mod_sofia and the core give them.

What must hold: every name here is one that a real switch was seen to set (tests/switch/captures); those that only
describe codecs and timers are there because the record of a real call is as long as that.
"""

from __future__ import annotations

from zcluster.lab.fake_switch.dialog import named
from zcluster.lab.fake_switch.leg import Leg
from zcluster.lab.fake_switch.message import Request, parameter, read_uri, tag_of
from zcluster.lab.fake_switch.settings import Place

_FIRST_MEDIA_PORT = 16384
_MEDIA_PORTS = 8000

_CODEC = {
    "rtp_use_codec_name": "PCMU",
    "rtp_use_codec_rate": "8000",
    "rtp_use_codec_ptime": "20",
    "rtp_use_codec_channels": "1",
    "rtp_last_audio_codec_string": "PCMU@8000h@20i@1c",
    "read_codec": "PCMU",
    "original_read_codec": "PCMU",
    "read_rate": "8000",
    "original_read_rate": "8000",
    "write_codec": "PCMU",
    "write_rate": "8000",
    "dtmf_type": "info",
}
_FLOWS = {
    "ep_codec_string": "CORE_PCM_MODULE.PCMU@8000h@20i@64000b",
    "remote_video_media_flow": "inactive",
    "remote_text_media_flow": "inactive",
    "remote_audio_media_flow": "sendrecv",
    "rtp_audio_recv_pt": "0",
}


def of_incoming(leg: Leg, invite: Request, peer: Place, wall_us: int) -> dict[str, str]:
    """When the INVITE of a caller has been read."""
    sender, wanted = invite.get("From"), read_uri(invite.uri)
    who, to = read_uri(sender), read_uri(invite.get("To"))
    contact, via = read_uri(invite.get("Contact") or sender), invite.get("Via")
    sent_by = via.partition(";")[0].split()[-1]
    return {
        "direction": "inbound",
        "uuid": leg.uuid,
        "call_uuid": leg.uuid,
        "session_id": str(leg.session),
        "sip_from_user": who.user,
        **_uri("sip_from", who.place, who.host, who.port),
        "channel_name": f"sofia/{leg.profile.name}/{who.place}",
        "sip_call_id": invite.call_id,
        "sip_local_network_addr": leg.profile.address,
        "sip_network_ip": peer[0],
        "sip_network_port": str(peer[1]),
        "sip_invite_stamp": str(wall_us),
        "sip_received_ip": peer[0],
        "sip_received_port": str(peer[1]),
        "sip_via_protocol": "udp",
        "sip_from_user_stripped": who.user,
        "sip_from_tag": tag_of(sender),
        **_profile(leg),
        "sip_full_via": via,
        "sip_from_display": named(sender),
        "sip_full_from": sender,
        "sip_full_to": invite.get("To"),
        "sip_req_user": wanted.user,
        **_uri("sip_req", wanted.place, wanted.host, wanted.port),
        "sip_to_user": to.user,
        **_uri("sip_to", to.place, to.host, to.port),
        "sip_contact_user": contact.user,
        **_uri("sip_contact", contact.place, contact.host, contact.port),
        "sip_via_host": sent_by.partition(":")[0],
        "sip_via_port": sent_by.partition(":")[2] or "5060",
        "max_forwards": invite.get("Max-Forwards") or "70",
        "switch_r_sdp": invite.body,
        **_FLOWS,
        "rtp_use_codec_string": "PCMU,PCMA",
        **_CODEC,
        "audio_media_flow": "sendrecv",
        "endpoint_disposition": "RECEIVED",
    }


def of_outgoing(leg: Leg, caller: Leg, target: str) -> dict[str, str]:
    """When our INVITE to the callee goes out. `target`: its URI."""
    wanted = read_uri(target)
    host, port = leg.dialog.peer
    return {
        "direction": "outbound",
        "is_outbound": "true",
        "uuid": leg.uuid,
        "session_id": str(leg.session),
        "sip_profile_name": leg.profile.name,
        "text_media_flow": "disabled",
        "channel_name": f"sofia/{leg.profile.name}/{wanted.place}",
        "sip_destination_url": target,
        "max_forwards": "69",
        "originator_codec": "PCMU@8000h@20i",
        "originator": caller.uuid,
        "signal_bond": caller.uuid,
        "switch_m_sdp": caller.variables.get("switch_r_sdp", ""),
        "originate_early_media": "true",
        "originating_leg_uuid": caller.uuid,
        "originate_endpoint": "sofia",
        "audio_media_flow": "sendrecv",
        "video_media_flow": "inactive",
        "rtp_local_sdp_str": local_sdp(leg),
        "sip_outgoing_contact_uri": leg.dialog.contact,
        "sip_req_uri": wanted.place,
        **_profile(leg),
        "sip_local_network_addr": leg.profile.address,
        "sip_reply_host": host,
        "sip_reply_port": str(port),
        "sip_network_ip": host,
        "sip_network_port": str(port),
        "sip_from_display": named(leg.dialog.local),
        "sip_full_from": leg.dialog.local,
        "sip_full_to": leg.dialog.remote,
        "sip_from_user": leg.caller,
        "sip_from_uri": read_uri(leg.dialog.local).place,
        "sip_from_host": leg.profile.address,
        "sip_to_user": wanted.user,
        **_uri("sip_to", wanted.place, wanted.host, wanted.port),
        "sip_from_tag": leg.dialog.local_tag,
        "sip_cseq": str(leg.dialog.local_cseq),
        "sip_call_id": leg.dialog.call_id,
        "call_uuid": caller.uuid,
    }


def of_answer(leg: Leg, remote_sdp: str, contact: str) -> dict[str, str]:
    """When the leg has been answered, by whichever side. `contact`: the callee's header, "" on the caller's leg."""
    dialog = leg.dialog
    inbound, outbound = (dialog.remote, dialog.local) if leg.is_inbound else (dialog.local, dialog.remote)
    found = {
        "rtp_local_sdp_str": leg.sdp or local_sdp(leg),
        "local_media_ip": leg.profile.address,
        "local_media_port": str(media_port(leg)),
        "advertised_media_ip": leg.profile.address,
        "rtp_use_timer_name": "soft",
        "rtp_use_pt": "0",
        "rtp_use_ssrc": str(654_929_194 + leg.session),
        **media_of(remote_sdp),
        "endpoint_disposition": "ANSWER",
        "sip_full_from": inbound,
        "sip_full_to": outbound,
        "sip_from_tag": tag_of(inbound),
        "sip_to_tag": tag_of(outbound),
        "sip_cseq": str(dialog.remote_cseq if leg.is_inbound else dialog.local_cseq),
        "sip_call_id": dialog.call_id,
        "switch_r_sdp": remote_sdp,
    }
    if contact:
        place = read_uri(contact)
        found |= {
            "sip_recover_contact": contact,
            "sip_contact_user": place.user or "nobody",
            **_uri(
                "sip_contact",
                f"{place.user or 'nobody'}@{place.host}:{place.port or 5060}",
                place.host,
                place.port,
            ),
            **_FLOWS,
            **_CODEC,
        }
        if transport := parameter(contact.replace(">", ""), "transport"):
            found["sip_contact_params"] = f"transport={transport}"
    return found


def of_bridge(partner: Leg, is_originator: bool) -> dict[str, str]:
    """When both legs are connected."""
    found = {"signal_bond": partner.uuid, "bridge_to": partner.uuid, "last_bridge_to": partner.uuid}
    if is_originator:
        found |= {
            "current_application": "bridge",
            "current_application_data": partner.name,
            "originated_legs": f"{partner.uuid};Outbound Call;{partner.destination}",
            "switch_m_sdp": partner.variables.get("switch_r_sdp", ""),
            "originate_disposition": "SUCCESS",
            "DIALSTATUS": "SUCCESS",
            "originate_causes": f"{partner.uuid};NONE",
        }
    return found


def of_end(leg: Leg) -> dict[str, str]:
    """When the leg has ended."""
    billed_us = leg.hangup_us - leg.answered_us if leg.answered_us else 0
    return {
        "hangup_cause": leg.hangup_cause,
        "start_epoch": str(leg.created_us // 1_000_000),
        "start_uepoch": str(leg.created_us),
        "answer_epoch": str(leg.answered_us // 1_000_000),
        "answer_uepoch": str(leg.answered_us),
        "bridge_uepoch": str(leg.bridged_us),
        "end_epoch": str(leg.hangup_us // 1_000_000),
        "end_uepoch": str(leg.hangup_us),
        "duration": str((leg.hangup_us - leg.created_us) // 1_000_000),
        "billsec": str(billed_us // 1_000_000),
        "billmsec": str(billed_us // 1000),
    }


def media_port(leg: Leg) -> int:
    """The port that our description names. Nothing listens there: no audio passes the fake switch."""
    return int(leg.variables.get("local_media_port", "0")) or _FIRST_MEDIA_PORT + 2 * (
        leg.session % _MEDIA_PORTS
    )


def local_sdp(leg: Leg) -> str:
    """Our description, on the profile's own address as FreeSWITCH's is."""
    lines = (
        "v=0",
        f"o=FreeSWITCH {leg.created_us // 1_000_000} {leg.created_us // 1_000_000 + 1} IN IP4 {leg.profile.address}",
        "s=FreeSWITCH",
        f"c=IN IP4 {leg.profile.address}",
        "t=0 0",
        f"m=audio {media_port(leg)} RTP/AVP 0",
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
        "a=sendrecv",
    )
    return "".join(f"{line}\r\n" for line in lines)


def media_of(sdp: str) -> dict[str, str]:
    """Where the other side wants its audio, as far as its description says."""
    found: dict[str, str] = {}
    for line in sdp.splitlines():
        if line.startswith("c=IN IP4 "):
            found.setdefault("remote_media_ip", line[9:].strip()[:64])
        elif line.startswith("m=audio "):
            found.setdefault("remote_media_port", line[8:].split(" ")[0][:5])
    return found


def _profile(leg: Leg) -> dict[str, str]:
    own = leg.profile
    return {
        "sofia_profile_name": own.name,
        "sofia_profile_url": f"sip:mod_sofia@{own.address}:{own.port}",
        "recovery_profile_name": own.name,
    }


def _uri(prefix: str, place: str, host: str, port: int) -> dict[str, str]:
    found = {f"{prefix}_uri": place, f"{prefix}_host": host}
    return {f"{prefix}_port": str(port), **found} if port else found
