from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.config.passwordfile import LONGEST_PASSWORD, WELL_KNOWN_PASSWORD, load_password, parse_password
from zcluster.errors import KeyFileError


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [b"pa ss:word", b"pa ss:word\n", b"pa ss:word\r\n"])
def test_the_one_line_is_the_password(tmp_path: Path, content: bytes) -> None:
    assert load_password(private(tmp_path / "password", content), {}) == "pa ss:word"


def test_no_file_is_the_password_that_freeswitch_is_shipped_with() -> None:
    assert load_password(None, {}) == WELL_KNOWN_PASSWORD


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}.*chmod 600"):
        load_password(private(tmp_path / "password", b"secret", mode), {})


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"secret\nsecret\n", "more than one line"),
        (b"secret\0", "control characters"),
        (b"\xffsecret", "not text"),
        (b"secret" * 50, "longer than"),
    ],
)
def test_what_is_no_password_is_refused_and_never_quoted(tmp_path: Path, content: bytes, wrong: str) -> None:
    with pytest.raises(KeyFileError, match=wrong) as caught:
        load_password(private(tmp_path / "file", content), {})
    assert "secret" not in str(caught.value)


def test_a_missing_file_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"no password of the event socket; write there"):
        load_password(tmp_path / "none", {})
    with pytest.raises(
        KeyFileError, match=r"`zcluster_password`.*vars\.xml.*conf/freeswitch/zcluster/event_socket\.xml"
    ):
        load_password(tmp_path / "none", {})


def test_a_service_reads_the_copy_that_it_is_handed(tmp_path: Path) -> None:
    file, directory = private(tmp_path / "password", b"old"), tmp_path / "credentials"
    assert load_password(file, {"CREDENTIALS_DIRECTORY": str(directory)}) == "old"
    directory.mkdir()
    copy = private(directory / "password", b"new", 0o440)
    assert load_password(file, {"CREDENTIALS_DIRECTORY": str(directory)}) == "new"
    copy.chmod(0o444)
    with pytest.raises(KeyFileError, match="others than its owner"):
        load_password(file, {"CREDENTIALS_DIRECTORY": str(directory)})


@given(st.binary(max_size=LONGEST_PASSWORD + 8))
def test_any_bytes_are_one_safe_line_or_refused(content: bytes) -> None:
    try:
        password = parse_password(content)
    except ValueError:
        return
    assert password.isprintable()
    assert 0 < len(password) <= LONGEST_PASSWORD
