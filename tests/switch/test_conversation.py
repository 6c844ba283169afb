"""The client's core, told by hand what arrives and what time it is."""

from __future__ import annotations

import pytest

from tests.switch.recorded import received
from zcluster.errors import CommandRefused, SwitchUnavailable
from zcluster.switch import answers, bounds, commands
from zcluster.switch.commands import Form
from zcluster.switch.conversation import Conversation, Stage
from zcluster.switch.frames import ApiResponse, CommandReply, Event
from zcluster.switch.losses import REORDERED_EVENTS, SequenceWatch, complains_of_loss
from zcluster.switch.notices import (
    Answered,
    Closed,
    EventsLost,
    Happened,
    JobDone,
    JobLost,
    LossSign,
    Notice,
    Opened,
    PulseBack,
    Unanswered,
)
from zcluster.switch.wishes import PROBE, Login, Wishes

LOGIN = Login("ClueCon")
WISHES = Wishes(origin="node-a", names=("CHANNEL_ANSWER",), subclasses=("sofia::register",))
ACCEPTED = answers.reply("+OK accepted")


def talk(wishes: Wishes = WISHES, login: Login = LOGIN) -> Conversation:
    """A conversation that is connected and was greeted, at 1000."""
    conversation = Conversation(login, wishes)
    assert conversation.handle_timer(1000) == []
    assert conversation.stage is Stage.CONNECTING
    conversation.connected(1000)
    assert conversation.receive(answers.AUTH_REQUEST, 1000) == []
    return conversation


def opened(wishes: Wishes = WISHES, core: str = "core-1") -> Conversation:
    conversation = talk(wishes)
    assert conversation.receive(ACCEPTED + setup(wishes, core), 1000) == [Opened(core, is_same_switch=False)]
    conversation.outgoing.clear()
    return conversation


def setup(wishes: Wishes = WISHES, core: str = "core-1") -> bytes:
    return answers.reply("+OK") * (len(wishes.commands()) - 1) + answers.response(core)


def event(name: str = "CHANNEL_ANSWER", **headers: str) -> bytes:
    return answers.event(Form.JSON, Event({"Event-Name": name, **headers}))


def pulse(number: int, origin: str = "node-a") -> bytes:
    headers = {"Event-Name": "CUSTOM", "Event-Subclass": PROBE, "zc-origin": origin, "zc-pulse": str(number)}
    return answers.event(Form.JSON, Event(headers))


def losses(notices: list[Notice]) -> list[LossSign]:
    return [notice.sign for notice in notices if isinstance(notice, EventsLost)]


# Opening


def test_it_says_first_who_it_is_then_what_it_wants() -> None:
    conversation = talk()
    assert conversation.outgoing == b"auth ClueCon\n\n"
    conversation.outgoing.clear()
    assert conversation.receive(ACCEPTED, 1000) == []
    assert bytes(conversation.outgoing).decode().split("\n\n") == [
        "event json CHANNEL_ANSWER BACKGROUND_JOB CUSTOM sofia::register zcluster::probe",
        "log 2",
        "api global_getvar core_uuid",
        "",
    ]


def test_filters_go_before_the_subscription_and_let_our_own_through() -> None:
    wishes = Wishes("a", names=("CHANNEL_ANSWER",), filters=(("Caller-Context", "public"),))
    assert [command.name for command in wishes.commands()][:3] == [
        "filter Caller-Context public",
        "filter Event-Name BACKGROUND_JOB",
        "filter Event-Subclass zcluster::probe",
    ]


def test_a_directory_user_authenticates_as_such() -> None:
    assert talk(login=Login("1234", "zc", "lab.test")).outgoing == b"userauth zc@lab.test:1234\n\n"


def test_what_cannot_be_said_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(CommandRefused):
        Conversation(Login("two\nlines"), WISHES)
    with pytest.raises(CommandRefused):
        Conversation(LOGIN, Wishes("a", names=("x\ny",)))


def test_a_user_who_may_not_see_the_log_or_ask_is_served_all_the_same() -> None:
    conversation = talk()
    denied = answers.reply("-ERR permission denied")
    assert conversation.receive(ACCEPTED + answers.reply("+OK") + denied * 2, 1000) == [Opened("", False)]


def test_a_refused_subscription_is_no_connection() -> None:
    conversation = talk()
    (closed,) = conversation.receive(ACCEPTED + answers.reply("-ERR permission denied"), 1000)
    assert isinstance(closed, Closed)
    assert "refuses 'event json" in closed.reason
    assert closed.retry_ms == bounds.LONGEST_RETRY_MS


@pytest.mark.parametrize("name", ["auth-bad", "userauth-bad"])
def test_a_wrong_password_is_said_and_not_tried_fast(name: str) -> None:
    conversation = Conversation(Login("wrong"), WISHES)
    conversation.handle_timer(0)
    conversation.connected(0)
    (closed,) = conversation.receive(received(name), 0)
    assert closed == Closed(
        "the switch refuses our password", was_open=False, retry_ms=bounds.LONGEST_RETRY_MS
    )
    assert not conversation.wants_connection


def test_an_address_that_is_not_admitted_is_said() -> None:
    conversation = Conversation(LOGIN, WISHES)
    conversation.handle_timer(0)
    conversation.connected(0)
    data = b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
    (closed,) = conversation.receive(data, 0)
    assert isinstance(closed, Closed)
    assert "Access Denied" in closed.reason


@pytest.mark.parametrize("stage", [Stage.CONNECTING, Stage.GREETED, Stage.AUTHENTICATING, Stage.SUBSCRIBING])
def test_nothing_may_hang_on_the_way(stage: Stage) -> None:
    conversation = Conversation(LOGIN, WISHES)
    conversation.handle_timer(0)
    if stage is not Stage.CONNECTING:
        conversation.connected(0)
    if stage in {Stage.AUTHENTICATING, Stage.SUBSCRIBING}:
        conversation.receive(answers.AUTH_REQUEST, 0)
    if stage is Stage.SUBSCRIBING:
        conversation.receive(ACCEPTED, 0)
    assert conversation.stage is stage
    due_ms = conversation.deadline()
    assert due_ms is not None
    assert due_ms <= bounds.GREETING_MS
    assert conversation.handle_timer(due_ms - 1) == []
    (closed,) = conversation.handle_timer(due_ms)
    assert isinstance(closed, Closed)


# Trying again


def test_it_tries_again_more_slowly_each_time_and_is_quick_again_after_success() -> None:
    conversation, now_ms, waits = Conversation(LOGIN, WISHES), 0, []
    for _ in range(9):
        conversation.handle_timer(now_ms)
        (closed,) = conversation.lost("refused", now_ms)
        assert isinstance(closed, Closed)
        waits.append(closed.retry_ms)
        assert conversation.handle_timer(now_ms + closed.retry_ms - 1) == []
        assert not conversation.wants_connection
        now_ms += closed.retry_ms
    assert waits == [50, 100, 200, 400, 800, 1600, 2000, 2000, 2000]
    conversation.handle_timer(now_ms)
    conversation.connected(now_ms)
    conversation.receive(answers.AUTH_REQUEST + ACCEPTED, now_ms)
    assert conversation.receive(setup(), now_ms) == [Opened("core-1", False)]
    assert conversation.lost("gone", now_ms) == [Closed("gone", was_open=True, retry_ms=50)]


@pytest.mark.parametrize(("core", "is_same"), [("core-1", True), ("core-2", False), ("", False)])
def test_it_knows_whether_the_switch_lived_on(core: str, is_same: bool) -> None:
    conversation = opened()
    conversation.lost("gone", 1000)
    conversation.handle_timer(1050)
    conversation.connected(1050)
    body = answers.response(core) if core else answers.response("-ERR no reply\n")
    conversation.receive(answers.AUTH_REQUEST + ACCEPTED, 1050)
    assert conversation.receive(answers.reply("+OK") * 2 + body, 1050) == [Opened(core, is_same)]


def test_a_closed_socket_ends_all_that_was_asked() -> None:
    conversation = opened()
    first = conversation.request(commands.api("status"), 1000)
    conversation.request(commands.bgapi("job-1", "sofia", "status"), 1000)
    conversation.receive(answers.response("fine") + answers.reply("+OK Job-UUID: job-1", "job-1"), 1001)
    second = conversation.request(commands.api("status"), 1002)
    assert conversation.lost("gone", 1003) == [
        Unanswered(second, "api status", "gone"),
        JobLost("job-1", "bgapi sofia status", "gone"),
        Closed("gone", was_open=True, retry_ms=50),
    ]
    assert second > first
    assert conversation.lost("gone", 1003) == []
    with pytest.raises(SwitchUnavailable):
        conversation.request(commands.api("status"), 1004)


def test_nothing_of_an_ended_connection_reaches_the_next() -> None:
    conversation = opened()
    conversation.request(commands.api("status"), 1000)
    conversation.receive(event()[:-5], 1000)  # half an event
    conversation.lost("gone", 1000)
    assert not conversation.outgoing
    conversation.handle_timer(1050)
    conversation.connected(1050)
    assert conversation.receive(answers.AUTH_REQUEST + ACCEPTED + setup(), 1050) == [Opened("core-1", True)]
    assert bytes(conversation.outgoing).startswith(b"auth ClueCon\n\nevent json")


def test_a_farewell_is_the_reason() -> None:
    conversation = opened()
    (closed,) = conversation.receive(answers.notice(), 1000)
    assert closed == Closed("the switch said: Disconnected, goodbye.", was_open=True, retry_ms=50)


def test_a_farewell_that_lingers_leaves_the_end_to_the_switch() -> None:
    conversation = opened()
    data = b"Content-Type: text/disconnect-notice\nContent-Disposition: linger\nContent-Length: 0\n\n"
    assert conversation.receive(data, 1000) == []
    assert conversation.is_open
    assert conversation.lost("end", 1000) == [Closed("the switch said: goodbye", True, 50)]


# Asking


def test_answers_come_in_the_order_of_asking() -> None:
    conversation = opened()
    tickets = [conversation.request(commands.api("echo", rest=str(i)), 1000 + i) for i in range(3)]
    assert conversation.outgoing == b"api echo 0\n\napi echo 1\n\napi echo 2\n\n"
    told = conversation.receive(b"".join(answers.response(str(i)) for i in range(3)), 1010)
    assert told == [
        Answered(ticket, f"api echo {i}", ApiResponse(str(i)), 10 - i) for i, ticket in enumerate(tickets)
    ]


def test_events_between_answers_disturb_nothing() -> None:
    conversation = opened()
    ticket = conversation.request(commands.api("status"), 1000)
    told = conversation.receive(event() + answers.response("up") + event(), 1001)
    assert [type(notice) for notice in told] == [Happened, Answered, Happened]
    assert isinstance(told[1], Answered)
    assert told[1].ticket == ticket


def test_an_api_that_is_denied_is_answered_by_a_reply() -> None:
    conversation = opened()
    conversation.request(commands.api("status"), 1000)
    (told,) = conversation.receive(answers.reply("-ERR permission denied"), 1000)
    assert isinstance(told, Answered)
    assert told.answer.is_error


@pytest.mark.parametrize(
    "data",
    [
        answers.reply("+OK"),
        answers.response("x"),
        answers.AUTH_REQUEST,
        b"garbage\n\n",
        b"Content-Type: x\n" * 70,
    ],
)
def test_what_was_not_asked_ends_the_connection(data: bytes) -> None:
    conversation = opened()
    told = conversation.receive(event() + data + event(), 1000)
    assert [type(notice) for notice in told] == [Happened, Closed]
    assert not conversation.wants_connection
    assert conversation.receive(event(), 1000) == []


def test_output_for_a_command_that_has_none_ends_the_connection() -> None:
    conversation = opened()
    conversation.request(commands.nolog(), 1000)
    told = conversation.receive(answers.response("x"), 1000)
    assert [type(notice) for notice in told] == [Unanswered, Closed]


def test_an_answer_that_is_late_ends_the_connection() -> None:
    conversation = opened()
    conversation.request(commands.api("slow"), 1000, limit_ms=300)
    conversation.request(commands.api("next"), 1000, limit_ms=300)
    assert conversation.deadline() == 1300
    conversation.receive(answers.response("done"), 1299)
    assert conversation.deadline() == 1599  # its turn began only now
    assert conversation.handle_timer(1598) == []
    told = conversation.handle_timer(1599)
    assert [type(notice) for notice in told] == [Unanswered, Closed]


def test_what_may_be_out_is_bounded() -> None:
    conversation = opened()
    for _ in range(bounds.WAITING_ANSWERS):
        conversation.request(commands.nolog(), 1000)
    unsent = len(conversation.outgoing)
    with pytest.raises(SwitchUnavailable):
        conversation.request(commands.bgapi("job", "status"), 1000)
    assert len(conversation.outgoing) == unsent
    assert conversation.handle_timer(1000 + bounds.ANSWER_MS - 1) == []


def test_what_may_be_unsent_is_bounded() -> None:
    conversation = opened()
    large = commands.sendevent("CUSTOM", "x", {}, "b" * bounds.COMMAND_BODY_BYTES)
    for _ in range(bounds.UNSENT_BYTES // len(large.data)):
        conversation.request(large, 1000)
    with pytest.raises(SwitchUnavailable):
        conversation.request(large, 1000)
    assert len(conversation.outgoing) <= bounds.UNSENT_BYTES


# Jobs


def job_event(job: str, body: str) -> bytes:
    return answers.event(Form.PLAIN, Event({"Event-Name": "BACKGROUND_JOB", "Job-UUID": job}, body))


@pytest.mark.parametrize("is_reply_first", [True, False])
def test_a_job_ends_with_its_output_whichever_comes_first(is_reply_first: bool) -> None:
    conversation = opened()
    conversation.request(commands.bgapi("job-1", "status"), 1000)
    parts = [answers.reply("+OK Job-UUID: job-1", "job-1"), job_event("job-1", "up\n")]
    told = conversation.receive(b"".join(parts if is_reply_first else parts[::-1]), 1001)
    assert JobDone("job-1", "bgapi status", "up\n") in told
    assert len(told) == 2
    assert conversation.deadline() is None


def test_the_job_of_somebody_else_is_an_event() -> None:
    told = opened().receive(job_event("other", "x"), 1000)
    assert [type(notice) for notice in told] == [Happened]


def test_a_refused_job_is_lost_at_once_and_a_late_one_in_time() -> None:
    conversation = opened()
    conversation.request(commands.bgapi("job-1", "status"), 1000)
    conversation.request(commands.bgapi("job-2", "status"), 1000)
    with pytest.raises(SwitchUnavailable):
        conversation.request(commands.bgapi("job-2", "status"), 1000)
    replies = answers.reply("-ERR permission denied") + answers.reply("+OK Job-UUID: job-2", "job-2")
    told = conversation.receive(replies, 1001)
    assert told[1] == JobLost("job-1", "bgapi status", "the switch refused it")
    due_ms = conversation.deadline()
    assert due_ms == 1000 + bounds.JOB_MS
    assert conversation.handle_timer(due_ms) == [
        JobLost("job-2", "bgapi status", "its output did not come in time")
    ]
    assert conversation.is_open
    assert [type(notice) for notice in conversation.receive(job_event("job-2", "late"), due_ms)] == [Happened]


# Pulses and lost events


def test_a_pulse_comes_back_with_its_time() -> None:
    conversation = opened()
    assert conversation.pulse(1000) == 1
    assert conversation.oldest_pulse_ms == 1000
    assert b"Event-Subclass: zcluster::probe\nzc-origin: node-a\nzc-pulse: 1\n\n" in conversation.outgoing
    told = conversation.receive(answers.reply("+OK uuid") + pulse(1), 1020)
    assert told[-1] == PulseBack(1, round_trip_ms=20)
    assert conversation.oldest_pulse_ms is None


def test_the_pulse_of_another_node_is_an_event() -> None:
    conversation = opened()
    conversation.pulse(1000)
    assert [type(notice) for notice in conversation.receive(pulse(1, "node-b"), 1001)] == [Happened]
    assert conversation.receive(pulse(7), 1001) == []


def test_a_pulse_that_others_overtook_by_far_is_a_loss() -> None:
    conversation = opened()
    for at in range(4):
        conversation.pulse(1000 + at)
    conversation.receive(answers.reply("+OK") * 4, 1010)
    assert losses(conversation.receive(pulse(2), 1010)) == []  # order alone is no loss
    assert losses(conversation.receive(pulse(3), 1010)) == [LossSign.PULSE]
    assert losses(conversation.receive(pulse(4), 1010)) == []
    assert conversation.oldest_pulse_ms is None


def test_a_pulse_that_was_not_sent_is_not_waited_for() -> None:
    conversation = opened()
    conversation.lost("gone", 1000)
    with pytest.raises(SwitchUnavailable):
        conversation.pulse(1001)
    assert conversation.oldest_pulse_ms is None


def test_pulses_that_never_come_back_stay_bounded() -> None:
    conversation = opened()
    for at in range(2 * bounds.WAITING_PULSES):
        conversation.pulse(at)
        conversation.receive(answers.reply("+OK"), at)
    assert conversation.oldest_pulse_ms == bounds.WAITING_PULSES


def test_the_log_tells_of_lost_events() -> None:
    conversation = opened()
    lines = answers.log_line(2, "Lost [3] events! Event Queue size: [0/100000]\n") + answers.log_line(
        2, "other"
    )
    assert losses(conversation.receive(lines, 1000)) == [LossSign.LOG]
    told = conversation.receive(answers.notice("killed listener because of lost events\n"), 1000)
    assert losses(told) == [LossSign.LOG]
    assert isinstance(told[-1], Closed)


@pytest.mark.parametrize(
    "text",
    ["Lost 12 events!", "Event enqueue ERROR [1] | [x]", "Killing listener because of too many lost events"],
)
def test_all_wordings_of_the_complaint_are_known(text: str) -> None:
    assert complains_of_loss(text)
    assert not complains_of_loss("Lost 12 log lines!")


def test_an_event_that_cannot_be_read_is_a_loss() -> None:
    data = b"Content-Type: text/event-json\nContent-Length: 2\n\n{]"
    assert losses(opened().receive(data + event(), 1000)) == [LossSign.MALFORMED]


def test_gaps_among_all_events_are_a_suspicion() -> None:
    conversation = opened(Wishes("a", names=("ALL",)))
    numbers = [1, 2, 4, 3, *range(6, 6 + REORDERED_EVENTS)]
    data = b"".join(event(**{"Event-Sequence": str(number)}) for number in numbers)
    assert losses(conversation.receive(data, 1000)) == []
    (lost, _) = conversation.receive(event(**{"Event-Sequence": str(numbers[-1] + 1)}), 1000)
    assert lost == EventsLost(LossSign.SEQUENCE, "1 missing from 5 on")


def test_gaps_among_some_events_are_the_rule() -> None:
    data = b"".join(event(**{"Event-Sequence": str(number)}) for number in range(1, 900, 7))
    assert losses(opened().receive(data, 1000)) == []


def test_a_great_gap_is_counted_and_not_kept() -> None:
    watch = SequenceWatch()
    assert watch.note(1) == (0, 0)
    largest = Event({"Event-Sequence": "9" * 18}).number("Event-Sequence")
    assert largest is not None
    assert watch.note(largest) == (largest - 2 - REORDERED_EVENTS, 2)
    assert watch.note(1) == (0, 0)


def test_a_number_that_comes_late_is_not_missing() -> None:
    watch, told = SequenceWatch(), 0
    for number in [10, 12, 11, 14, 15, 13, *range(16, 200)]:
        told += watch.note(number)[0]
    assert told == 0


# Recorded switches


@pytest.mark.parametrize(
    "name", ["call-bridged.json", "limit.plain", "register.json", "call-bridged-all.plain"]
)
def test_the_events_of_a_real_switch_are_told(name: str) -> None:
    conversation = talk()
    parts = received(name).split(b"\n\n", 3)  # greeting, accepted, subscribed, the rest
    conversation.receive(ACCEPTED, 1000)
    conversation.receive(setup(), 1000)
    told = conversation.receive(parts[3], 1000)
    happened = [notice.event.name for notice in told if isinstance(notice, Happened)]
    assert len(happened) == received(name).count(b"\nContent-Type: text/event-")
    # `exit` was not ours here, so its reply is what ends it.
    assert isinstance(told[-1], Closed)


def test_before_it_is_open_events_are_not_told() -> None:
    conversation = talk()
    conversation.receive(ACCEPTED, 1000)
    assert conversation.receive(event(), 1000) == []


def test_a_reply_keeps_its_headers() -> None:
    conversation = opened()
    conversation.request(commands.bgapi("job", "status"), 1000)
    (told,) = conversation.receive(answers.reply("+OK Job-UUID: job", "job"), 1000)
    assert isinstance(told, Answered)
    assert isinstance(told.answer, CommandReply)
    assert told.answer.headers["job-uuid"] == "job"
