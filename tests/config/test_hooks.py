from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.texts import GOOD, accepted, one_fault, refused
from zcluster.config.check import warnings
from zcluster.config.configuration import Hook, HookNodes
from zcluster.config.fault import Fault
from zcluster.config.hook_dangers import ProgramState, program_state
from zcluster.config.host import HostFacts, KeyFileState, host_facts

PAGE = '[[hook]]\nname = "page"\ncommand = ["/usr/local/bin/page"]\n'
POST = '[[hook]]\nname = "post"\nurl = "https://alerts.example.net/zcluster"\n'


def test_the_least_that_can_be_said() -> None:
    page, post = accepted(GOOD + PAGE + POST).hooks
    assert page == Hook("page", command=("/usr/local/bin/page",))
    assert post == Hook("post", url="https://alerts.example.net/zcluster")
    assert (page.nodes, page.levels, page.codes) == (HookNodes.ONE, ("notice", "warning", "alarm"), ())
    assert accepted(GOOD).hooks == ()


def test_everything_that_can_be_said() -> None:
    text = GOOD + (
        '[[hook]]\nname = "sbc"\ncommand = ["/opt/sbc", "--say", "a b; $(c)"]\ncodes = ["takeover", "gate-*"]\n'
        'levels = ["alarm"]\ngroups = ["sip*"]\nnodes = "holder"\ntimeout-s = 30\nattempts = 3\n'
    )
    assert accepted(text).hooks == (
        Hook(
            "sbc",
            command=("/opt/sbc", "--say", "a b; $(c)"),
            codes=("takeover", "gate-*"),
            levels=("alarm",),
            groups=("sip*",),
            nodes=HookNodes.HOLDER,
            timeout_s=30,
            attempts=3,
        ),
    )


@pytest.mark.parametrize(
    ("lines", "key", "wrong"),
    [
        ("", "hook[0]", "it does nothing"),
        ('command = ["page"]\n', "hook[0].command", "'page' is no absolute path"),
        ('command = "/bin/page --now"\n', "hook[0].command", "is not a list"),
        ("command = []\n", "hook[0].command", "the list is empty"),
        ('command = ["/bin/page", "a\\u0000"]\n', "hook[0].command", "cannot be an argument"),
        ('command = ["/bin/a"]\nurl = "https://a.net/"\n', "hook[0].url", "there is a command too"),
        ('url = "ftp://a.net/"\n', "hook[0].url", "begins with neither https:// nor http://"),
        ('url = "https://"\n', "hook[0].url", "names no host"),
        ('url = "https://a.net:x/"\n', "hook[0].url", "is no URL"),
        ('url = "https://a b/"\n', "hook[0].url", "is no URL"),
        ('url = "https://me:secret@a.net/"\n', "hook[0].url", "a password in a URL"),
        ('url = "https://a.net/#x"\n', "hook[0].url", "never reaches a server"),
        ('url = "https://a.net/"\ncodes = ["Take Over"]\n', "hook[0].codes[0]", "cannot be a code"),
        ('url = "https://a.net/"\nlevels = ["warn"]\n', "hook[0].levels[0]", "'warn' is not known here"),
        ('url = "https://a.net/"\nlevels = []\n', "hook[0].levels", "the list is empty"),
        ('url = "https://a.net/"\ngroups = ["nowhere"]\n', "hook[0].groups[0]", "no group is called nowhere"),
        ('url = "https://a.net/"\nnodes = "all"\n', "hook[0].nodes", "'all' is not known here"),
        ('url = "https://a.net/"\ntimeout-s = 0\n', "hook[0].timeout-s", "out of range"),
        ('url = "https://a.net/"\nattempts = 1000\n', "hook[0].attempts", "out of range"),
        ('url = "https://a.net/"\nshell = true\n', "hook[0].shell", "not known here"),
    ],
)
def test_what_is_wrong_is_told_with_its_key_and_a_mend(lines: str, key: str, wrong: str) -> None:
    fault = one_fault(GOOD + '[[hook]]\nname = "h"\n' + lines)
    assert fault.key == key
    assert wrong in fault.wrong
    assert fault.mend
    assert fault.line


def test_all_faults_at_once() -> None:
    text = GOOD + PAGE + PAGE + '[[hook]]\nname = "x"\nnodes = "two"\ncodes = [1]\n'
    assert {fault.key for fault in refused(text)} == {
        "hook[1].name",
        "hook[2]",
        "hook[2].nodes",
        "hook[2].codes[0]",
    }


def test_a_choice_that_is_not_there_names_those_that_are() -> None:
    fault = one_fault(GOOD.replace("expected-nodes = 3\n", 'expected-nodes = 3\nrecording = "onn"\n'))
    assert fault.mend == 'did you mean "on"? ("on", "off")'


def test_there_are_only_so_many() -> None:
    many = "".join(PAGE.replace('"page"', f'"page{number}"') for number in range(17))
    assert one_fault(GOOD + many).wrong == "there are 17 of these"


def dangers(text: str, **programs: ProgramState) -> list[Fault]:
    facts = HostFacts(KeyFileState.GOOD, 0o600, True, 1.0, programs=programs)
    return [fault for fault in warnings(accepted(text), facts) if fault.path[0] == "hook"]


def test_check_warns_of_a_program_that_is_not_there() -> None:
    for state, wrong in (
        (ProgramState.GOOD, ""),
        (ProgramState.MISSING, "there is no /usr/local/bin/page on this host"),
        (ProgramState.NOT_A_FILE, "is no file"),
        (ProgramState.NOT_EXECUTABLE, "cannot be run by this user"),
        (ProgramState.EXPOSED, "everybody on this host may change"),
    ):
        found = dangers(GOOD + PAGE, page=state)
        assert len(found) == bool(wrong)
        for fault in found:
            assert fault.key == "hook[0].command"
            assert wrong in fault.wrong
            assert fault.mend


@pytest.mark.parametrize(
    ("codes", "levels", "wrong", "mend"),
    [
        ('["takeover", "gate-*"]', '["notice", "alarm"]', "", ""),
        ('["take-over"]', '["notice"]', "no event has the code take-over", "did you mean takeover"),
        ('["xyzzy*"]', '["notice"]', "no event has the code xyzzy*", "`zcluster explain` lists them all"),
        (
            '["state"]',
            '["warning"]',
            "state is told as info, and the hook page hears of warning",
            'add "info"',
        ),
        ('["different-builds"]', '["warning"]', "no event has the code different-builds", ""),
    ],
)
def test_check_warns_of_codes_that_are_never_heard(codes: str, levels: str, wrong: str, mend: str) -> None:
    found = dangers(GOOD + PAGE + f"codes = {codes}\nlevels = {levels}\n")
    assert len(found) == bool(wrong)
    for fault in found:
        assert fault.key == "hook[0].codes[0]"
        assert wrong in fault.wrong
        assert mend in fault.mend


def test_check_warns_of_a_url_that_anybody_can_read() -> None:
    assert [fault.key for fault in dangers(GOOD + POST.replace("https", "http"))] == ["hook[0].url"]
    assert dangers(GOOD + POST) == []
    for host in ("127.0.0.1:8080", "localhost", "[::1]"):
        assert dangers(GOOD + f'[[hook]]\nname = "p"\nurl = "http://{host}/"\n') == []


def test_what_stands_on_this_host(tmp_path: Path) -> None:
    program = tmp_path / "page"
    assert program_state(program) is ProgramState.MISSING
    assert program_state(tmp_path) is ProgramState.NOT_A_FILE
    program.write_text("#!/bin/sh\n")
    program.chmod(0o600)
    assert program_state(program) is ProgramState.NOT_EXECUTABLE
    program.chmod(0o755)
    assert program_state(program) is ProgramState.GOOD
    program.chmod(0o757)
    assert program_state(program) is ProgramState.EXPOSED
    configuration = accepted(GOOD + PAGE.replace("/usr/local/bin/page", str(program)))
    assert host_facts(configuration).programs == {"page": ProgramState.EXPOSED}
