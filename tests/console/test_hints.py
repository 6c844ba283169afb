"""What the command line says to a word too many or too few."""

from __future__ import annotations

import pytest

from zcluster.cli import commands


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("freeze", "zcluster freeze --for 2h"),
        ("move", "zcluster move sip1 --to pbx2"),
        ("pin sip1", "zcluster pin sip1 pbx2"),
        ("unpin", "zcluster unpin sip1"),
        ("keygen", "zcluster keygen /etc/zcluster/cluster.key"),
        ("roster add", "zcluster roster add pbx4"),
        ("roster remove", "zcluster roster remove pbx3"),
        ("roster force", "zcluster roster force --lost pbx2 pbx3"),
        ("move sip1 pbx2", "name the node behind --to: `zcluster move sip1 --to pbx2`"),
        ("status sip1", "`zcluster why sip1`"),
        ("pin sip1 pbx2 pbx3", "Got unexpected extra argument (pbx3)"),
    ],
)
def test_a_command_line_that_is_right_is_shown(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        commands(words.split())
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
