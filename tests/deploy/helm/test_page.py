"""What `docs/deploying.md` says is so: names, values, files and commands."""

from __future__ import annotations

import itertools
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from discovery.main import create_app
from flightline.chart.__main__ import ROOT, VALUES
from flightline.main import app
from tests.deploy.helm.rendering import (
    NAMESPACE,
    PROFILES,
    RELEASE,
    Document,
    notes,
    of_kind,
    overlay,
    profile,
    refusal,
    rendered,
)

PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"```\n(.*?) *```", PAGE, re.DOTALL)]
DEFAULTS: Document = yaml.safe_load(VALUES.read_text(encoding="utf-8"))


def commands(program: str, text: str = "\n".join(BLOCKS)) -> Iterator[list[str]]:
    """Yield the words of every command of a program, from its name on."""
    for line in re.sub(r"\$\(openssl [^)]*\)", "chosen", text.replace("\\\n", " ")).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<()")
        lexer.whitespace_split = True
        for is_between, words in itertools.groupby(lexer, lambda word: set(word) <= set("|;&<()")):
            found = ["--", *words]
            if not is_between and (place := _place(found, program)):
                yield found[place:]


def _place(words: list[str], program: str) -> int:
    """Return where a command begins: first, or after the `--` of another; 0 if it does not."""
    begins = [before == "--" and word == program for before, word in itertools.pairwise(words)]
    return begins.index(True) + 1 if True in begins else 0


def test_there_are_commands() -> None:
    assert len(list(commands("helm"))) >= 5
    assert len(list(commands("kubectl"))) >= 12
    assert len(list(commands("flightline"))) >= 7


@pytest.mark.parametrize("words", [*commands("helm")], ids=" ".join)
def test_helm_is_told_of_this_release_and_of_files_that_there_are(words: list[str]) -> None:
    assert words[1] in {"install", "upgrade", "uninstall", "test"}
    assert words[2] == RELEASE
    assert words[words.index("-n") + 1] == NAMESPACE
    files = [value for flag, value in itertools.pairwise(words) if flag == "-f"]
    assert [name for name in files if name != "mine.yaml" and not (ROOT / name).is_file()] == []
    if words[1] in {"install", "upgrade"}:
        assert (ROOT / words[3] / "Chart.yaml").is_file()


@pytest.mark.parametrize("words", [*commands("kubectl")], ids=" ".join)
def test_kubectl_is_told_of_objects_that_the_chart_makes(words: list[str]) -> None:
    documents = rendered("production")
    known = {f"deploy/{RELEASE}-{name}" for name in of_kind(documents, "Deployment")}
    known |= {f"svc/{RELEASE}-{name}" for name in of_kind(documents, "Service")}
    assert {word for word in words if re.match(r"(?:deploy|svc)/", word)} <= known
    assert NAMESPACE in words
    labels = of_kind(documents, "Deployment")["ingest"]["spec"]["template"]["metadata"]["labels"]
    selectors = ",".join(word for word in words if word.startswith("app.kubernetes.io/"))
    for name, unlike, value in re.findall(r"([^=!,]+)(!?)=([^,]+)", selectors):
        assert (labels[name] == value) is not bool(unlike)
    if "port-forward" in words:
        [service] = [word.removeprefix(f"svc/{RELEASE}-") for word in words if word.startswith("svc/")]
        assert of_kind(documents, "Service")[service]["spec"]["ports"][0]["port"] == int(words[-1])


def test_the_secrets_that_the_page_makes_are_those_that_production_takes() -> None:
    made: dict[str, set[str]] = {}
    for words in commands("kubectl"):
        if "create" in words and "secret" in words:
            keys = {word.split("=")[1] for word in words if word.startswith("--from-literal=")}
            made[words[words.index("generic") + 1]] = keys
    assert made == taken(rendered("production"))


def test_a_token_is_read_from_where_it_is() -> None:
    assert "jsonpath='{.data.FLIGHTLINE_TOKEN}'" in PAGE
    assert "FLIGHTLINE_TOKEN" in of_kind(rendered("local"), "Secret")["dev"]["stringData"]
    assert "`flightline-dev`" in PAGE


def taken(documents: tuple[Document, ...]) -> dict[str, set[str]]:
    """Return the keys of every secret that is referred to."""
    found: dict[str, set[str]] = {}
    for reference in _references(list(documents)):
        found.setdefault(reference["name"], set()).add(reference["key"])
    for each in of_kind(documents, "TriggerAuthentication").values():
        for reference in each["spec"]["secretTargetRef"]:
            found.setdefault(reference["name"], set()).add(reference["key"])
    return found


def _references(part: Any) -> Iterator[dict[str, str]]:
    if isinstance(part, list):
        for each in part:
            yield from _references(each)
    elif isinstance(part, dict):
        if isinstance(reference := part.get("secretKeyRef"), dict):
            yield reference
        for each in part.values():
            yield from _references(each)


@pytest.mark.parametrize("words", [*commands("flightline")], ids=" ".join)
def test_the_command_knows_what_it_is_told(words: list[str]) -> None:
    command: Any = get_command(app)
    for word in words[1:]:
        if word.startswith("--"):
            assert word in {option for each in command.params for option in each.opts}
        elif hasattr(command, "commands") and word in command.commands:
            command = command.commands[word]
    assert command.name != "flightline"


def test_values_that_the_page_names_are_values() -> None:
    named = set(re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z-]+)+)`", PAGE))
    values = {name for name in named if name.partition(".")[0] in DEFAULTS}
    assert len(values) > 15
    assert [name for name in sorted(values) if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    place: Any = DEFAULTS
    for key in name.split("."):
        if not isinstance(place, dict) or key not in place:
            return False
        place = place[key]
    return True


def test_the_example_of_closed_networks_is_accepted() -> None:
    [example] = [block for block in BLOCKS if block.startswith("networkPolicy:")]
    assert refusal(overlay(profile("production"), yaml.safe_load(example))) == ""


@pytest.mark.parametrize("name", PROFILES)
def test_the_notes_tell_commands_about_objects_that_there_are(name: str) -> None:
    told = notes(profile(name))
    documents = rendered(name)
    for kind, short in (("Deployment", "deploy"), ("Service", "svc")):
        for named in re.findall(rf"{short}/{RELEASE}-([a-z-]+)", told):
            assert named in of_kind(documents, kind)


def test_requests_that_the_page_makes_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))
    assert {"/api/discover", "/events"} <= set(create_app().openapi()["paths"])
