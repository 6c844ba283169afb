from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from zcluster.config.load import read_bytes
from zcluster.config.reference import as_markdown, sections, type_words, undescribed

ROOT = Path(__file__).resolve().parents[2]


def test_every_key_has_a_meaning_and_every_meaning_a_key() -> None:
    assert undescribed() == []


def test_the_page_is_the_schema() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == as_markdown(), "run `make reference`"


def test_the_types_are_the_schemas_own() -> None:
    keys = {(section.head, key.name): key for section in sections() for key in section.keys}
    assert keys["[cluster]", "expected-nodes"].type == "whole number, 1 to 64"
    assert keys["[cluster]", "expected-nodes"].default == "(required)"
    assert keys["[cluster]", "preset"].type == '"standard", "fast", "patient"'
    assert keys["[timing]", "beat-ms"].default == "standard 20, fast 10, patient 100"
    assert keys["[[link]]", "peers"].type == "list of: address or DNS name (at most 128)"
    assert keys["[[group]]", "allowed"].default == '["*"]'
    assert keys["[switch]", "event-socket"].default == '"127.0.0.1:8021"'
    assert keys["[switch]", "password-file"].default == ""


def test_a_type_without_words_is_an_error_and_no_riddle() -> None:
    with pytest.raises(TypeError, match="give it some"):
        type_words(Annotated[complex, Field()])


def test_the_defaults_can_be_written_as_they_stand() -> None:
    """Each default is a value of TOML, and the file means the same with it as without it."""
    needed = '[cluster]\nname = "a"\nexpected-nodes = 3\n'
    rest = '[[link]]\nname = "s"\nrole = "service"\nnetwork = "10.0.0.0/24"\nmulticast = "239.0.0.1"\n'
    rest += '[[group]]\nname = "g"\naddresses = ["10.0.0.9/24"]\n'
    (cluster,) = [section for section in sections() if section.head == "[cluster]"]
    written = "".join(
        f"{key.name} = {key.default}\n" for key in cluster.keys if key.default not in ("", "(required)")
    )
    assert set(tomllib.loads(written)) >= {"preset", "mode", "forget-after-s"}
    assert read_bytes((needed + written + rest).encode()).faults == ()
