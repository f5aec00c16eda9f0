"""Documents point at things that exist, and nothing that is committed points at somebody's machine."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from contract.checkout import ROOT, assert_none, committed_files, markdown_files, place
from smallsight.version import __version__

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PLACEHOLDERS = {"me", "you", "user", "name", "someone", "somebody", "alice"}
_HOMES = re.compile(r"(?:(?<![\w.~/-])/(?:home|Users)/|[A-Z]:\\Users\\)([\w.-]+)")
_ROOT_HOME = re.compile(r"(?<![\w.~/-])/root/[\w.-]")
_ORDINARY_PLACES = {"/", "/tmp", "/home", "/root", "/opt", "/srv", "/src", "/app", "/usr/src", "/var/tmp"}
_MAX_TEXT_BYTES = 2_000_000


def links(path):
    return _LINK.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))


def anchors(path):
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def broken_links(path):
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = unquote(link).partition("#")
        found = (path.parent / target).resolve() if target else path
        if (
            not found.exists()
            or not found.is_relative_to(ROOT)
            or (anchor and found.suffix == ".md" and anchor not in anchors(found))
        ):
            yield link


def machine_paths(text, checkout=ROOT):
    """Return what looks like a path of the machine that the text was written on."""
    found = [match[0] for match in _HOMES.finditer(text) if match[1] not in _PLACEHOLDERS]
    found += [match[0] for match in _ROOT_HOME.finditer(text)]
    for place_here in {str(checkout), str(checkout.parent)} - _ORDINARY_PLACES:
        found += re.findall(rf"(?<![\w.~-]){re.escape(place_here)}(?![\w-])", text)
    return found


def text_of(path):
    """Return a file's text, or None for what is not text."""
    data = path.read_bytes()
    if b"\0" in data or len(data) > _MAX_TEXT_BYTES:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def test_links_lead_somewhere():
    found = [f"{place(path)}: {link}" for path in markdown_files() for link in broken_links(path)]
    assert_none("a link leads to something in the checkout", found)


def test_a_broken_link_would_be_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("[a](nowhere.md) [b](https://example.org) ![c](../outside.png)")
    assert list(broken_links(page)) == ["nowhere.md", "../outside.png"]


def test_pictures_of_the_readme_exist_and_are_small():
    readme = ROOT / "README.md"
    pictures = [link for link in links(readme) if link.endswith((".svg", ".jpg", ".png"))]
    assert len(pictures) >= 2
    for link in pictures:
        assert 1_000 < (ROOT / link).stat().st_size < 300_000


def test_changelog_has_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(__version__)}\]", changelog, re.MULTILINE)


def test_required_documents_exist():
    wanted = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "docs/guide.md"]
    wanted += ["docs/architecture.md", "docs/tree.md", "docs/first-steps.md", "docs/lab-log.md"]
    wanted += ["docs/decisions/README.md", "training/LOG.md"]
    assert [name for name in wanted if not (ROOT / name).is_file()] == []


def test_readme_has_the_two_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"\nmake {target}\n" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    "failing", ["check", "test-most", ".make/fonts", ".make/kernels", ".make/docs", "nothing"]
)
def test_every_step_has_to_pass_before_a_change_lands(failing, tmp_path):
    """The script with a ``make`` that writes down what it is asked for, and fails at one target."""
    make, asked = tmp_path / "make", tmp_path / "asked"
    make.write_text(f'#!/bin/sh\necho "$1" >> {asked}\ntest "$1" != {failing}\n')
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / ".ci" / "run"], env=environment, capture_output=True, check=False)
    targets = asked.read_text(encoding="utf-8").split()
    if failing == "nothing":
        assert done.returncode == 0
        assert sorted(targets) == [".make/docs", ".make/fonts", ".make/kernels", "check", "test-most"]
        assert targets[-1] == "test-most"
    else:
        assert done.returncode != 0
        assert failing in targets
        assert ("test-most" in targets) == (failing == "test-most")


def test_make_targets_named_in_documents_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in markdown_files():
        for target in re.findall(r"`make (\w+)", path.read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{place(path)} names `make {target}`"


def test_scripts_named_in_documents_exist():
    pattern = r"`(?:python )?((?:benchmarks|docs|examples|tests|src)/[\w./-]+\.(?:py|toml|md|json))"
    for path in markdown_files():
        for name in re.findall(pattern, path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{place(path)} names {name}"


def test_no_committed_file_names_a_path_of_a_machine():
    found = {}
    for path in committed_files():
        text = text_of(path)
        if text is not None and path != Path(__file__).resolve() and (paths := machine_paths(text)):
            found[place(path)] = paths[:3]
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "see /home/jo/x",
        "C:\\Users\\jo\\x",
        "/Users/jo/x",
        "at /root/x.txt",
        "in /big/disk/checkout/a",
        "/big/disk",
    ],
)
def test_a_path_of_a_machine_would_be_noticed(text):
    assert machine_paths(text, Path("/big/disk/checkout")) != []


@pytest.mark.parametrize(
    "text",
    [
        "/home/me/Pictures",
        "~/home/x",
        "https://example.org/root/x",
        "a/big/disk",
        "/big/diskette",
        "/roots/x",
    ],
)
def test_an_innocent_text_is_not_noticed(text):
    assert machine_paths(text, Path("/big/disk/checkout")) == []
