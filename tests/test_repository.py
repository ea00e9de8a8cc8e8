"""What the repository says of itself is true."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXTS = {".md", ".py", ".toml", ".yaml", ".yml", ".json", ".sh", ""}
GENERATED_OR_FOREIGN = {"uv.lock", "LICENSE"}

MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:work|root|home/\w+|Users/\w+)/\w")


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git says which files are ours")
    command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text_files() -> list[Path]:
    return [
        path for path in tracked_files() if path.suffix in TEXTS and path.name not in GENERATED_OR_FOREIGN
    ]


def pages() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md"]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_command_in_the_pages_exists() -> None:
    told = {
        command
        for page in pages()
        for command in re.findall(r"(?:^|`)make ([a-z-]+)(?=`|\s|$)", page.read_text(), re.MULTILINE)
    }

    assert told
    assert told - targets() == set()


def test_every_setting_in_the_pages_exists() -> None:
    known = (ROOT / "docs" / "settings.md").read_text()
    names = re.compile(r"\b(?:FLIGHTLINE|DISCOVERY|INGEST|SCALER|MOVER|ODM_GATEWAY)_[A-Z0-9_]*[A-Z0-9]\b")
    told = {name for page in [*pages(), ROOT / "compose.yaml"] for name in names.findall(page.read_text())}

    assert told
    assert {name for name in told if f"`{name}`" not in known and "_TEST_" not in name} == set()


def test_every_target_that_stands_in_the_help_is_described() -> None:
    make = shutil.which("make")
    if not make:
        pytest.skip("there is no make here")

    text = subprocess.run([make, "-C", str(ROOT), "help"], capture_output=True, check=True, text=True).stdout

    assert {name for name in targets() if f"make {name} " in text} == targets()


def test_no_file_names_a_path_of_some_machine() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in text_files()
        for match in MACHINE_PATHS.finditer(path.read_text(encoding="utf-8"))
    }

    assert found == set()


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = {
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    }

    assert broken == set()


def test_every_decision_stands_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    records = {path.name for path in folder.glob("0*.md")}

    assert set(re.findall(r"\((0\d+-[a-z-]+\.md)\)", (folder / "README.md").read_text())) == records


def test_no_module_is_longer_than_can_be_reviewed() -> None:
    modules = [path for path in tracked_files() if path.suffix == ".py"]

    assert {path.name: lines for path in modules if (lines := lines_of(path)) > 400} == {}


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
