"""One sentence on how the cluster is: what is wrong, for whom, and the next command; and an exit status.

What must hold: pure, from the status document alone (docs of its shape: `zcluster.supervisor.status`); the
worst thing comes first; a sentence that complains ends with something to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from zcluster.console import unready
from zcluster.console.words import counted, duration, listed

Status = Mapping[str, Any]

# What stands is told again within ten seconds.
OLD_ALARM_MS = 15_000


class ExitStatus(IntEnum):
    """The exit status of `zcluster status`; stable, scripts may rely on it."""

    WELL = 0
    DEGRADED = 1
    UNHELD = 2
    NOT_REACHABLE = 3


class Verdict(NamedTuple):
    """The exit status and the sentence."""

    exit_status: ExitStatus
    sentence: str


def judge(status: Status) -> Verdict:
    """The verdict on a status document."""
    verdict = _judged(status)
    if status.get("freeze"):
        verdict = Verdict(
            max(verdict.exit_status, ExitStatus.DEGRADED), f"{_frozen(status['freeze'])} {verdict.sentence}"
        )
    if status["mode"] != "observe":
        return verdict
    is_loud = verdict.sentence[:2].isupper()
    sentence = verdict.sentence if is_loud else verdict.sentence[0].lower() + verdict.sentence[1:]
    return verdict._replace(sentence=f"Observing only, no address is touched; otherwise: {sentence}")


def _judged(status: Status) -> Verdict:
    if not status["cluster_id"]:
        return Verdict(ExitStatus.UNHELD, _unfounded(status))
    unheld = [group["name"] for group in status["groups"] if not group["holder"]]
    if unheld:
        return Verdict(ExitStatus.UNHELD, f"{_have_no_holder(unheld)}: {_why_unheld(status, unheld)}")
    found = complaints(status)
    ready = counted(len(ready_slaves(status)), "slave stands ready", "slaves stand ready")
    if found:
        more = f" ({len(found) - 1} more below)" if len(found) > 1 else ""
        also = f" and {ready}" if found[0] in _unfit(status) and ready_slaves(status) else ""
        return Verdict(ExitStatus.DEGRADED, f"{_all_held(status)}{also}, but {found[0]}{more}.")
    return Verdict(ExitStatus.WELL, f"{_all_held(status)}; {ready}.")


def further(status: Status) -> list[str]:
    """What the sentence calls "more below"."""
    return complaints(status)[1:] if judge(status).exit_status is ExitStatus.DEGRADED else []


def _frozen(freeze: Mapping[str, Any]) -> str:
    """The loudest sentence there is, and how to end it."""
    end = "until `zcluster thaw`"
    if freeze["left_ms"] is not None:
        end = f"for {duration(freeze['left_ms'])} more, or {end}"
    return (
        f"FROZEN by {freeze['who']} on {freeze['node']} {duration(freeze['age_ms'])} ago ({freeze['reason']}): "
        f"nothing moves, whatever fails, {end}."
    )


def ready_slaves(status: Status) -> list[str]:
    """Names of the slaves that could take a group now, the primary slave first."""
    slaves = [node for node in status["nodes"] if node["position"] and not node["unready"]]
    return [node["name"] for node in sorted(slaves, key=lambda node: node["position"])]


def missing_nodes(status: Status) -> list[Mapping[str, Any]]:
    """The voters that are not heard."""
    return [node for node in status["nodes"] if node["is_voter"] and not node["is_heard"]]


def silent_links(status: Status) -> dict[str, list[str]]:
    """For each link the nodes that are heard, but not on it; links with such nodes only."""
    found: dict[str, list[str]] = {}
    for node in status["nodes"]:
        if node["is_heard"] and not node["is_self"]:
            for link in node["links"]:
                if is_missed(node, link):
                    found.setdefault(link["name"], []).append(node["name"])
    return found


def is_missed(node: Mapping[str, Any], link: Mapping[str, Any]) -> bool:
    """Whether a node that is heard ought to be heard on that link too. A witness need not be on every network."""
    return not link["is_heard"] and not (node["is_witness"] and link["heard_ms"] is None)


def complaints(status: Status) -> list[str]:
    """What is not well while every group is held, the worst first."""
    found = [FORCED.format(**status)] if status["is_forced"] else []
    found += [_alarm(warning) for warning in status["warnings"] if warning["level"] == "alarm"]
    found += [
        f"{node['name']} is silent{_since(node)}: look at that host, then `zcluster why`"
        for node in missing_nodes(status)
    ]
    if not ready_slaves(status):
        found.append(f"no slave stands ready{_unready_slaves(status)}")
    found += _unfit(status)
    down = {link["name"]: link["interface"] for link in status["links"] if not link["is_up"]}
    found += [
        f"link {name} is down on this host: mend {interface or 'its interface'} (`zcluster explain link-broken`)"
        for name, interface in down.items()
    ]
    for link_name, names in silent_links(status).items():
        if link_name in down:
            continue  # it is the same fault
        found.append(
            f"{listed(names)} cannot be heard on link {link_name}: is its interface up (`zcluster status` there)? "
            "Else check its cables and switch"
        )
    missing = status["expected_nodes"] - len(
        {node["name"] for node in status["nodes"]} | {*status["forgotten"]}
    )
    if missing > 0 and status["generation"] <= 1:
        found.append(f"{counted(missing, 'expected node')} never came: start `zcluster run` there")
    found += [_forgotten(name, how_forgotten(name, status)) for name in status["forgotten"]]
    found += [
        f"{name} is heard and not admitted: `zcluster roster add {name}`, or stop it"
        for name in status["unadmitted"]
    ]
    found += _unkept_pins(status)
    found += [
        warning["text"].rstrip(".") + _recipe(warning)
        for warning in status["warnings"]
        if warning["level"] == "warning" and not _is_said(warning, down)
    ]
    return found


def _is_said(warning: Mapping[str, Any], down: Iterable[str]) -> bool:
    """Whether it is of a link that is down, which has been complained of."""
    return warning.get("code") == "link-broken" and warning["text"].startswith(
        tuple(f"link {name} " for name in down)
    )


def _unfit(status: Status) -> list[str]:
    """Nodes that somebody must mend before they take over anything; without a ready slave, that says it of the idle."""
    is_any_ready = bool(ready_slaves(status))
    told = [unready.complaint(node) for node in status["nodes"] if node["holds"] or is_any_ready]
    return [text for text in told if text]


def _alarm(warning: Mapping[str, Any]) -> str:
    """What was told, with its recipe; and when, since it may be over."""
    age = told_ago(warning)
    when = f" ({age})" if age else ""
    return f"{warning['text'].rstrip('.')}{when}{_recipe(warning)}"


def _recipe(warning: Mapping[str, Any]) -> str:
    return f": `zcluster explain {warning['code']}`" if warning.get("code") else ""


def told_ago(warning: Mapping[str, Any]) -> str:
    """ "told 2 min 10 s ago"; "" for what stands, or was told just now."""
    age_ms = warning.get("age_ms")
    return f"told {duration(age_ms)} ago" if age_ms is not None and age_ms >= OLD_ALARM_MS else ""


class Forgotten(StrEnum):
    """How a voter lost its vote."""

    DEAD = "was dead for long"
    FORCED = "was forced out by an operator"
    EITHER = "was forced out by an operator, or dead for long"
    BACK = "is back"


def how_forgotten(name: str, status: Status) -> Forgotten:
    """Who was heard lately was not dead for long, so an operator went on without it (`roster force`)."""
    node = next((node for node in status["nodes"] if node["name"] == name), None)
    if node is not None and node["is_heard"]:
        return Forgotten.BACK
    limit_ms = status.get("forget_after_ms")
    if node is None or node["heard_ms"] is None or limit_ms is None:
        return Forgotten.EITHER if status["is_forced"] else Forgotten.DEAD
    return Forgotten.FORCED if node["heard_ms"] < limit_ms else Forgotten.DEAD


def _forgotten(name: str, how: Forgotten) -> str:
    match how:
        case Forgotten.BACK:
            return f"{name} is back and votes again soon: `zcluster roster show`"
        case Forgotten.DEAD:
            return f"{name} was dead for so long that it has no vote: start it, or `zcluster roster remove {name}`"
    return f"{name} {how}: start it only where it hears this node, or `zcluster roster remove {name}`"


FORCED = (
    "THE ROSTER WAS FORCED without a majority (generation {generation}): make sure that the lost nodes are off, "
    "see `zcluster roster show`"
)


def _unkept_pins(status: Status) -> list[str]:
    holders = {group["name"]: group["holder"] for group in status["groups"]}
    return [
        f"{pin['group']} is pinned to {pin['node']} and held by {holders[pin['group']]}: it moves when "
        f"{pin['node']} stands ready, or `zcluster unpin {pin['group']}`"
        for pin in status["pins"]
        if holders.get(pin["group"], pin["node"]) not in ("", pin["node"])
    ]


def _since(node: Mapping[str, Any]) -> str:
    return f" since {duration(node['heard_ms'])}" if node["heard_ms"] is not None else ""


def _all_held(status: Status) -> str:
    groups = status["groups"]
    if len(groups) == 1:
        return f"Group {groups[0]['name']} is held"
    return f"All {len(groups)} groups are held"


def _have_no_holder(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"Group {names[0]} has no holder"
    return f"Groups {listed(names)} have no holder"


def _why_unheld(status: Status, unheld: Sequence[str]) -> str:
    voters = [node for node in status["nodes"] if node["is_voter"]]
    heard = [node for node in voters if node["is_heard"]]
    needed = len(voters) // 2 + 1
    why = f"`zcluster why {unheld[0]}`"
    if len(heard) < needed:
        lost = listed([node["name"] for node in missing_nodes(status)])
        return (
            f"{status['node']} hears {len(heard)} of {len(voters)} voters (itself included) "
            f"and {needed} must agree; start {lost}, or mend the links, then `zcluster status` "
            "(lost for ever: `zcluster roster force --help`)."
        )
    if status.get("freeze"):
        return f"{_whose(status['freeze'], unheld)}; then {why}."
    if not ready_slaves(status):
        return f"no slave stands ready{_unready_slaves(status)}; then {why}."
    return f"{ready_slaves(status)[0]} should take over at any moment; if this stays, run {why}."


def _whose(freeze: Mapping[str, Any], unheld: Sequence[str]) -> str:
    holders = {pin["group"]: pin["node"] for pin in freeze["holders"]}
    nodes = sorted({holders[name] for name in unheld if holders.get(name)})
    lost = [name for name in unheld if not holders.get(name)]
    parts = [f"frozen on {listed(nodes)}, so start that, or `zcluster thaw`"] if nodes else []
    parts += [f"nobody held {listed(lost)} when the cluster was frozen: `zcluster thaw`"] if lost else []
    return "; ".join(parts)


def _unready_slaves(status: Status) -> str:
    reasons = [
        f"{node['name']}: {', '.join(node['unready'])}"
        for node in status["nodes"]
        if node["is_heard"] and not node["holds"] and node["unready"]
    ]
    if reasons:
        return f" ({'; '.join(reasons)}): mend that"
    return ": start one more node"


def _unfounded(status: Status) -> str:
    heard = [node["name"] for node in status["nodes"] if node["is_heard"]]
    expected = status["expected_nodes"]
    if len(heard) > expected:
        return (
            f"The cluster is not founded: {len(heard)} nodes ({listed(heard)}) hear each other and the file "
            f"expects {expected}; stop those too many, or correct `expected-nodes` in the file on every host."
        )
    if len(heard) < expected:
        return (
            f"The cluster is not founded yet: {status['node']} hears {len(heard)} of {expected} nodes "
            f"({listed(heard)}); run `zcluster run` on the others, with the same file and key."
        )
    return f"The cluster is being founded by {listed(heard)}; run `zcluster status` again in a second."
