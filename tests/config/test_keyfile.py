from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.config.keyfile import KEY_BYTES, load_key, load_service_key, parse_key, write_key
from zcluster.errors import KeyFileError


def test_a_new_key_is_private_random_and_readable_again(tmp_path: Path) -> None:
    one, other = tmp_path / "one.key", tmp_path / "other.key"
    write_key(one)
    write_key(other)
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert one.read_text().startswith("zck1:")
    assert len(load_key(one)) == KEY_BYTES
    assert load_key(one) != load_key(other)


def test_a_permissive_umask_does_not_expose_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_key(tmp_path / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_key_that_is_there_stays_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_key(path)
    first = load_key(path)
    with pytest.raises(KeyFileError, match=r"there is a file already.*--force"):
        write_key(path)
    assert load_key(path) == first
    write_key(path, replace=True)
    assert load_key(path) != first
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=f"mkdir -p {tmp_path}/none"):
        write_key(tmp_path / "none" / "key")


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(KeyFileError, match=f"zcluster keygen {path}"):
        load_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o666])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    write_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}.*chmod 600"):
        load_key(path)


def test_a_stricter_mode_is_welcome(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_key(path)
    path.chmod(0o400)
    assert len(load_key(path)) == KEY_BYTES


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "it is empty"),
        (b"secret\n", "does not begin with zck1:"),
        (b"zck1:%%%", "is not base64"),
        (b"zck1:" + base64.b64encode(b"short"), "holds 5 bytes where 32 belong"),
        (b"\xff\xfe", "not text"),
    ],
)
def test_content_that_is_no_key_is_refused_and_never_quoted(
    tmp_path: Path, content: bytes, wrong: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=wrong) as caught:
        load_key(path)
    assert "secret" not in str(caught.value)


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(KeyFileError, match="must be a plain file"):
        load_key(tmp_path)


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_every_key_survives_its_text_form(key: bytes) -> None:
    assert parse_key(b"zck1:" + base64.b64encode(key) + b"\n") == key


@given(st.binary(max_size=80))
def test_any_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_key(content)


def test_a_service_reads_the_copy_that_it_is_handed(tmp_path: Path) -> None:
    file, directory = tmp_path / "cluster.key", tmp_path / "credentials"
    write_key(file)
    assert load_service_key(file, {}) == load_key(file)
    assert load_service_key(file, {"CREDENTIALS_DIRECTORY": str(directory)}) == load_key(file)
    directory.mkdir()
    copy = directory / "cluster.key"
    write_key(copy)
    copy.chmod(0o440)  # the group's bits are those of an access list
    assert load_service_key(file, {"CREDENTIALS_DIRECTORY": str(directory)}) == parse_key(copy.read_bytes())
    copy.chmod(0o444)
    with pytest.raises(KeyFileError, match="others than its owner"):
        load_service_key(file, {"CREDENTIALS_DIRECTORY": str(directory)})
    with pytest.raises(KeyFileError, match="copy of the cluster key cannot be reached: File name too long"):
        load_service_key(file, {"CREDENTIALS_DIRECTORY": str(directory / ("x" * 300))})
