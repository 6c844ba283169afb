from __future__ import annotations

import os
import subprocess
import sys

import pytest

from zcluster.adapters.sealed_file import SealedFile


def test_a_child_reads_it_from_its_beginning_as_often_as_it_likes() -> None:
    content = b"name = 1\n" * 20_000
    sealed = SealedFile("test", content)
    script = "import sys; a, b = (open(sys.argv[1], 'rb').read() for _ in 'ab'); assert a == b; print(len(a))"
    done = subprocess.run(
        (sys.executable, "-I", "-c", script, str(sealed.path)),
        pass_fds=(sealed.fileno(),),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == len(content)
    assert sealed.path.read_bytes() == content
    sealed.close()


def test_nobody_can_change_it() -> None:
    sealed = SealedFile("test", b"one")
    with pytest.raises(PermissionError):
        os.pwrite(sealed.fileno(), b"two", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(sealed.fileno(), 0)
    with pytest.raises(PermissionError):
        sealed.path.write_bytes(b"three")
    assert sealed.path.read_bytes() == b"one"
    sealed.close()


def test_it_is_closed_for_those_who_were_not_given_it() -> None:
    sealed = SealedFile("test", b"one")
    assert not os.get_inheritable(sealed.fileno())
    sealed.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(sealed.fileno())
