from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from zcluster.cli import commands
from zcluster.config.reference import sections
from zcluster.console.manual import command_page, commands_of, file_page

ROOT = Path(__file__).resolve().parents[2]
PAGE = command_page(commands, "1.2.3", "2026-11-26")
FILE_PAGE = file_page(sections(), "1.2.3", "2026-11-26")


def plain(page: str) -> str:
    """What a reader sees, as far as words go."""
    for sign, letter in (
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(ga", "`"),
        ("\\:", ""),
        ("\\&", ""),
        ("\\e", "\\"),
    ):
        page = page.replace(sign, letter)
    return re.sub(r"\\f[BIR]", "", page)


def test_every_command_and_every_option_is_in_the_page() -> None:
    seen = plain(PAGE)
    with click.Context(commands, info_name="zcluster") as context:
        listed = list(commands_of(commands, context))
    assert {"zcluster status", "zcluster roster add", "zcluster lab demo", "zcluster report"} <= {
        words for words, _ in listed
    }
    for words, command in listed:
        assert f"\n{words} " in seen
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                assert option in seen, f"{words}: {option}"


def test_every_key_is_in_the_page() -> None:
    seen = plain(FILE_PAGE)
    for section in sections():
        assert f".SH {section.head}" in seen
        for key in section.keys:
            assert f".B {key.name}\n{key.meaning}." in seen


def test_what_a_command_says_of_itself_steers_no_page() -> None:
    @click.command(help=".de evil\n\n'so /etc/passwd \\n[.T] a-b")
    def odd() -> None: ...

    group = click.Group("zcluster", commands={"odd": odd}, help="x")
    lines = command_page(group, "1", "2026").splitlines()
    assert not [line for line in lines if line.startswith((".de", "'", ".so"))]
    assert any("\\en[.T] a\\-b" in line for line in lines)


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not here")
@pytest.mark.parametrize("page", [PAGE, FILE_PAGE], ids=["zcluster.1", "zcluster.toml.5"])
def test_man_has_nothing_to_complain_of(page: str, tmp_path: Path) -> None:
    path = tmp_path / "page.1"
    path.write_text(page)
    words = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(path)]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True, timeout=120)
    assert done.stderr == ""
    assert "NAME" in done.stdout


def test_pages_and_completions_are_written(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "packaging" / "pages.py"), str(tmp_path), "2026-11-26"]
    subprocess.run(words, check=True, timeout=120)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        "man/zcluster.1",
        "man/zcluster.toml.5",
        "completion/bash",
        "completion/zsh",
        "completion/fish",
    }
    for shell in ("bash", "zsh", "fish"):
        assert f"_ZCLUSTER_COMPLETE={shell}_complete" in (tmp_path / "completion" / shell).read_text()
