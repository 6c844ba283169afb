"""The wheel in a fresh virtual environment, and what is in the Debian package (`make deb-test` installs it)."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from zcluster.config.keyfile import load_key

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "packaging" / "debian"
LIMIT_S = 600
SITE = re.compile(r"usr/lib/zcluster/lib/python3\.\d+/site-packages/")


def run(*words: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Built:
    """A package and the wheel beside it; the package unpacked."""

    def __init__(self, folder: Path) -> None:
        assert shutil.which("dpkg-deb"), "this test needs dpkg-deb: it runs on Debian or Ubuntu"
        run(DEBIAN / "build", OUT=str(folder), PIP_PYTHON=sys.executable, COMPRESSION="gzip")
        (self.wheel,) = folder.glob("*.whl")
        (self.deb,) = folder.glob("*.deb")
        self.tree, self.control = folder / "tree", folder / "control"
        run("dpkg-deb", "-x", self.deb, self.tree)
        run("dpkg-deb", "-e", self.deb, self.control)
        (self.site,) = (self.tree / "usr/lib/zcluster/lib").glob("python3.*/site-packages")
        self.paths = [str(path.relative_to(self.tree)) for path in sorted(self.tree.rglob("*"))]

    def fields(self) -> dict[str, str]:
        lines = (self.control / "control").read_text().splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line and line[0] != " ")


def has_python_of_the_distribution() -> bool:
    """Whether there is one that the package could run on: an image with a Python of its own has none."""
    wanted = "import sys; sys.exit(sys.version_info < (3, 11))"
    programs = [Path(f"/usr/bin/python{version}") for version in ("3", "3.13", "3.12", "3.11")]
    return any(
        subprocess.run([program, "-c", wanted], check=False).returncode == 0
        for program in programs
        if program.exists()
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    if not has_python_of_the_distribution():
        pytest.skip("no python3 >= 3.11 of the distribution in /usr/bin, so no package can be built for it")
    return Built(tmp_path_factory.mktemp("packages"))


def test_the_wheel_in_a_fresh_environment(built: Built, tmp_path: Path) -> None:
    """What pipx does: an environment of its own, the wheel with what it needs, its command."""
    python = tmp_path / "venv/bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-compile", built.wheel)
    program = tmp_path / "venv/bin/zcluster"
    assert run(program, "--version").startswith("zcluster, version ")
    run(program, "keygen", tmp_path / "cluster.key")
    assert len(load_key(tmp_path / "cluster.key")) == 32
    assert "can be used" in run(program, "check", ROOT / "conf" / "example.toml")
    assert "Build a cluster of namespaces" in run(program, "--help")
    assert "kill-host" in run(program, "lab", "trial", "--help"), "the lab's own data files are in it too"


def test_the_wheel_holds_the_program_and_nothing_else(built: Built) -> None:
    names = run(sys.executable, "-m", "zipfile", "-l", built.wheel)
    tops = {line.split("/")[0] for line in names.splitlines()[1:]}
    assert {top.split("-")[0] for top in tops} == {"zcluster"}
    assert "scenarios/" in names


def test_everything_is_where_the_distribution_looks_for_it(built: Built) -> None:
    others = {path for path in built.paths if not SITE.match(path) and (built.tree / path).is_file()}
    assert {
        "usr/bin/zcluster",
        "usr/lib/systemd/system/zcluster.service",
        "usr/lib/systemd/system/zcluster.service.d/10-configured.conf",
        "usr/lib/sysusers.d/zcluster.conf",
        "usr/lib/tmpfiles.d/zcluster.conf",
        "usr/lib/sysctl.d/60-zcluster.conf",
        "usr/share/man/man1/zcluster.1.gz",
        "usr/share/man/man5/zcluster.toml.5.gz",
        "usr/share/bash-completion/completions/zcluster",
        "usr/share/zsh/vendor-completions/_zcluster",
        "usr/share/fish/vendor_completions.d/zcluster.fish",
        "usr/share/doc/zcluster/copyright",
        "usr/share/doc/zcluster/service.md",
        "usr/share/doc/zcluster/examples/example.toml",
        "usr/share/doc/zcluster/examples/subscriber.py",
        "usr/share/doc/zcluster/examples/prometheus/zcluster.rules.yml",
        "usr/share/doc/zcluster/examples/grafana/zcluster.json",
        "usr/lib/systemd/catalog/zcluster.catalog",
    } <= others
    assert {path.split("/")[0] for path in built.paths} == {"etc", "usr"}
    assert [path for path in built.paths if path.startswith("etc")] == ["etc", "etc/zcluster"]
    for page in ("man1/zcluster.1.gz", "man5/zcluster.toml.5.gz"):
        assert b".TH ZCLUSTER" in gzip.decompress((built.tree / "usr/share/man" / page).read_bytes())


def test_the_units_programs_and_documents_are_in_the_package(built: Built) -> None:
    unit = (built.tree / "usr/lib/systemd/system/zcluster.service").read_text()
    for program in re.findall(r"^Exec\w+=(\S+)", unit, re.MULTILINE):
        assert program.lstrip("/") in built.paths
    for document in re.findall(r"^Documentation=file://(\S+)", unit, re.MULTILINE):
        assert document.lstrip("/") in built.paths


def test_every_link_of_a_document_leads_somewhere(built: Built) -> None:
    """Also those to what lies beside docs/ in the repository."""
    folder = built.tree / "usr/share/doc/zcluster"
    astray = []
    for page in folder.rglob("*.md"):
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text()):
            is_elsewhere = "://" in target or target.startswith("mailto:")
            if not is_elsewhere and not (page.parent / target).exists():
                astray.append((page.name, target))
    assert (folder / "CONTRIBUTING.md").exists()
    assert astray == []


def test_the_catalogue_of_messages_is_read_in_where_systemd_runs(built: Built) -> None:
    for name in ("postinst", "postrm"):
        text = (built.control / name).read_text()
        (place,) = re.finditer(r"journalctl --update-catalog", text)
        assert "if [ -d /run/systemd/system ]" in text[: place.start()]


def test_it_is_for_one_python_of_the_distribution(built: Built) -> None:
    fields = built.fields()
    minor = int(built.site.parent.name.removeprefix("python3."))
    bounds = f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1})"
    assert bounds in fields["Depends"] or f"python3.{minor}, " in fields["Depends"]
    assert "\n".join(built.paths).count(f"cpython-3{minor}-") >= 3, "compiled parts are for that one"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*-\d+", fields["Version"])


def test_the_scripts_are_shell_and_start_nothing(built: Built) -> None:
    for name in ("postinst", "prerm", "postrm"):
        script = built.control / name
        run("sh", "-n", script)
        text = script.read_text()
        assert text.startswith("#!/bin/sh\n")
        assert "\nset -e\n" in text
        assert not re.search(r"\b(start|restart)\b zcluster", text)
        assert "@" not in text, "a place holder was left"
    assert (
        "ConditionPathExists=/etc/zcluster/zcluster.toml"
        in (built.tree / "usr/lib/systemd/system/zcluster.service.d/10-configured.conf").read_text()
    )


@pytest.mark.parametrize("is_there", [True, False])
def test_a_package_whose_files_are_gone_can_be_removed(tmp_path: Path, is_there: bool) -> None:
    home, script = tmp_path / "lib", tmp_path / "prerm"
    if is_there:
        (home / "a" / "__pycache__").mkdir(parents=True)
    script.write_text((DEBIAN / "prerm").read_text().replace("/usr/lib/zcluster", str(home)))
    run("sh", script, "upgrade")
    assert [path.name for path in home.rglob("*")] == (["a"] if is_there else [])


def test_nothing_tells_where_it_was_built(built: Built) -> None:
    """No path of the machine, no host of a registry, no compiled file with either in it."""
    index = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip() or os.environ.get("PIP_INDEX_URL", "")
    host = re.sub(r"^\w+://([^/@]*@)?([^/:]+).*", r"\2", index)
    words = [str(ROOT), str(built.tree.parent), "/tmp/tmp."]
    words += [host] if host and host not in ("pypi.org", "localhost") else []
    for path in built.tree.rglob("*"):
        assert path.suffix != ".pyc"
        assert path.name != "direct_url.json"
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert [word for word in words if word.encode() in content] == [], path
    for path in built.control.iterdir():
        assert str(ROOT).encode() not in path.read_bytes()


def test_every_file_is_roots_and_of_the_last_commits_time(built: Built) -> None:
    listing = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", built.deb], capture_output=True, check=True
    ).stdout
    path = built.tree.parent / "data.tar"
    path.write_bytes(listing)
    with tarfile.open(path) as archive:
        entries = archive.getmembers()
    assert {(entry.uname, entry.gname) for entry in entries} == {("root", "root")}
    assert {entry.mtime for entry in entries if entry.isfile()} == {entries[-1].mtime}
    assert not [entry.name for entry in entries if entry.isfile() and entry.mode & 0o6022]
    programs = {entry.name for entry in entries if entry.isfile() and entry.mode & 0o111}
    assert programs == {"./usr/lib/zcluster/bin/zcluster"}


def test_its_python_finds_its_own_packages(built: Built) -> None:
    """The interpreter of the package is a link, so it is stood in for by the one that it names."""
    link = built.tree / "usr/lib/zcluster/bin/python"
    target = os.path.normpath("/usr/lib/zcluster/bin/" + os.readlink(link))
    said = run(target, "-m", "zcluster", "--version", PYTHONPATH=str(built.site), PYTHONDONTWRITEBYTECODE="1")
    assert ", version " in said


def test_the_licences_of_what_is_bundled_are_named(built: Built) -> None:
    text = (built.tree / "usr/share/doc/zcluster/copyright").read_text()
    for folder in built.site.glob("*.dist-info"):
        name = folder.name.split("-")[0]
        assert name.lower() in text.lower(), name
    assert "License: MPL-2.0" in text


def test_the_checksums_are_those_of_the_files(built: Built) -> None:
    done = subprocess.run(
        ["md5sum", "--check", "--quiet", str(built.control / "md5sums")],
        cwd=built.tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def clean_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root") / "root.tar"
    run(DEBIAN / "make-clean-root", root)
    return root


@pytest.mark.kernel
def test_it_is_installed_used_and_taken_away_in_a_clean_root(built: Built, clean_root: Path) -> None:
    assert run(DEBIAN / "test-in-clean-root", built.deb, clean_root).splitlines()[-1] == "zcluster: well"


@pytest.mark.kernel
@pytest.mark.lab
def test_three_hosts_run_it_under_a_systemd_of_their_own(built: Built, clean_root: Path) -> None:
    assert run(DEBIAN / "test-under-systemd", built.deb, clean_root).splitlines()[-1] == "zcluster: well"
