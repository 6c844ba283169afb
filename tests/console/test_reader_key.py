from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.config.texts import GOOD
from zcluster.cli import commands, main
from zcluster.client import load_credential
from zcluster.config.keyfile import load_key, write_key
from zcluster.wire.keys import derive, observing, reader_pair


def cluster(directory: Path, lines: str = "", mode: str = "active") -> Path:
    key = directory / "cluster.key"
    write_key(key)
    text = GOOD.replace("expected-nodes = 3", f'expected-nodes = 3\nkey-file = "{key}"\nmode = "{mode}"')
    file = directory / "zcluster.toml"
    file.write_text(text + lines)
    return file


def asked(*words: object) -> str:
    result = CliRunner().invoke(commands, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_file_admits_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file, out = cluster(tmp_path, '[tools]\nreaders = ["ops"]\nport = 7800\n'), tmp_path / "ops.reader"
    said = asked("reader-key", "ops", "--out", out, "--config", file)
    assert out.stat().st_mode & 0o777 == 0o600
    secret = load_key(tmp_path / "cluster.key")
    found = load_credential(out)
    assert (found.public, found.secret) == reader_pair(secret, "ops")
    assert found.server == derive(secret).server.public
    assert found.port == 7800
    text = out.read_text()
    for other in (*derive(secret).client, derive(secret).server.secret):
        assert other.decode() not in text
    assert found.secret.decode() not in said


def test_without_a_file_it_is_printed_alone(tmp_path: Path) -> None:
    said = json.loads(asked("reader-key", "--config", cluster(tmp_path)))
    assert (said["schema"], said["cluster"], said["name"]) == ("zcluster.reader/1", "pbx", "reader")


def test_an_observing_cluster_has_keys_of_its_own(tmp_path: Path) -> None:
    said = json.loads(asked("reader-key", "--config", cluster(tmp_path, mode="observe")))
    secret = observing(load_key(tmp_path / "cluster.key"))
    assert said["public"] == reader_pair(secret, "reader").public.decode()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("reader-key", "grafana"), "does not name 'grafana'; its readers are ops"),
        (("reader-key", "ops", "--out", "there"), "there is a file already"),
        (("reader-key", "ops", "--out", "none/there"), "cannot be written"),
    ],
)
def test_what_is_refused_says_why(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = cluster(tmp_path, '[tools]\nreaders = ["ops"]\n')
    (tmp_path / "there").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["zcluster", *words, "--config", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert told in capsys.readouterr().err
