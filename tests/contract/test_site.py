"""The documentation site: built as by `make docs`, a page for each topic, and nothing from other hosts."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from contract.checkout import GUIDE, ROOT, assert_none, markdown_files, place
from e2e.document_steps import FIRST_STEPS, OPERATOR_PAGES, README, TEAM, hidden_commands, steps

# What tests/e2e/test_document_examples.py and test_operator_documents.py type, as it stands.
TYPED = {README, FIRST_STEPS, GUIDE, TEAM, *OPERATOR_PAGES}
_LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source|video)\b[^>]*?(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)


def load_pages():
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site_pages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look it up
    spec.loader.exec_module(module)
    return module


pages = load_pages()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site in a folder; every warning is an error: broken links, pages outside the navigation."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: make docs installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def guide_headings():
    return [match[2] for match in pages.headings(GUIDE.read_text(encoding="utf-8")) if len(match[1]) == 2]


def test_every_topic_of_the_guide_is_a_page(site):
    for heading in (*guide_headings(), *pages.SEPARATE):
        page = site / "guide" / pages.slug(heading) / "index.html"
        assert re.search(r"<h1[^>]*>", page.read_text(encoding="utf-8")), heading


def test_the_python_api_shows_every_public_name(site):
    import smallsight

    text = (site / "python-api" / "index.html").read_text(encoding="utf-8")
    missing = [name for name in smallsight.__all__ if name[0] != "_" and f'.{name}"' not in text]
    assert_none("a public name has an entry", missing)


def test_a_reader_loads_nothing_from_other_hosts(site):
    found = {
        f"{path.relative_to(site)}: {address}"
        for path in site.rglob("*.html")
        for address in _LOADED.findall(path.read_text(encoding="utf-8"))
        if "canonical" not in address
    }
    sheets = [
        f"{path.relative_to(site)}: {address}"
        for path in site.rglob("*.css")
        for address in re.findall(r"url\(['\"]?((?:https?:)?//[^)]+)", path.read_text(encoding="utf-8"))
    ]
    assert_none("scripts, styles, fonts and pictures are the site's", [*sorted(found), *sheets])


def test_nothing_of_the_guide_is_lost():
    whole = GUIDE.read_text(encoding="utf-8")
    parts = pages.topics(whole)
    joined = "\n".join(one.text for one in parts)
    assert sorted(re.sub(r"^#+", "#", line) for line in joined.splitlines() if line.strip()) == sorted(
        re.sub(r"^#+", "#", line) for line in whole.splitlines() if line.strip()
    )
    assert len({one.name for one in parts}) == len(parts)


def test_a_separate_section_leaves_its_page_and_the_next_one_returns():
    found = pages.topics("# Guide\nHello\n## A\na\n### Immich\ni\n#### x\n### B\nb\n## C\n```\n## no\n```\n")
    assert {one.name: one.text for one in found} == {
        "guide/index.md": "# Guide\nHello\n",
        "guide/a.md": "# A\na\n## B\nb\n",
        "guide/immich.md": "# Immich\ni\n## x\n",
        "guide/c.md": "# C\n```\n## no\n```\n",
    }


@pytest.mark.parametrize(
    ("link", "source", "page", "address"),
    [
        ("guide.md#b", "docs/first-steps.md", "first-steps.md", "guide/a.md#b"),
        ("#b", "docs/guide.md", "guide/immich.md", "a.md#b"),
        ("decisions/0001.md", "docs/guide.md", "guide/a.md", "../decisions/0001.md"),
        ("docs/guide.md", "CHANGELOG.md", "changelog.md", "guide/index.md"),
        ("../CHANGELOG.md", "docs/guide.md", "guide/a.md", "../changelog.md"),
        ("../src/smallsight", "docs/guide.md", "guide/a.md", f"{pages.REPOSITORY}/tree/main/src/smallsight"),
        ("https://example.org/x", "docs/guide.md", "guide/a.md", "https://example.org/x"),
    ],
)
def test_links_lead_to_where_things_are_on_the_site(link, source, page, address):
    guide = pages.topics("# Guide\n## A\n### B\n### Immich\n")
    links = pages.Links(guide, {"decisions/0001.md", "first-steps.md"})
    assert links.rewritten(f"[x]({link}) `[y]({link})`", source, page) == f"[x]({address}) `[y]({link})`"


def pages_of_the_site():
    on_site = [path for path in markdown_files() if path.is_relative_to(ROOT / "docs")]
    return [*on_site, README, *(ROOT / source for source in pages.FROM_THE_ROOT.values())]


def test_pages_with_lines_to_type_are_typed_by_a_test():
    """A block without a language, and one in sh or python, is what readers copy; other blocks say `text`."""
    untested = [
        f"{place(path)}: {step.text.splitlines()[0]}"
        for path in pages_of_the_site()
        if path not in TYPED
        for step in steps(path)
        if step.language in {"sh", "python"}
    ]
    assert_none("a page whose lines are typed by a test", untested)


def test_no_line_to_type_hides_in_a_block_that_tests_do_not_type():
    hidden = [f"{step.place}: {step.text}" for path in pages_of_the_site() for step in hidden_commands(path)]
    assert_none("a line to type is in a block without a language", hidden)


# Which script makes a picture in docs/images; a * stands for all that begin so.
MADE_BY = {
    "demo.svg": "docs/record_demo.py",
    "examples.jpg": "docs/draw_contact_sheet.py",
    "search.png": "docs/draw_search_result.py",
    "side_by_side.svg": "Makefile",
    "web-*": "docs/take_screenshots.py",
}
BY_HAND = {"open-webui.webp": "a page of another program, which has to be installed and asked first"}


def test_pictures_of_the_documents_are_made_by_scripts():
    unexplained = []
    for path in sorted((ROOT / "docs" / "images").iterdir()):
        script = next((MADE_BY[one] for one in MADE_BY if path.match(one)), None)
        text = "" if script is None else (ROOT / script).read_text(encoding="utf-8")
        if path.name not in BY_HAND and not re.search(rf"\b{re.escape(path.stem)}\b", text):
            unexplained.append(path.name)
    assert_none("a script writes it", unexplained)


def test_every_picture_is_shown_in_a_document():
    shown = "".join(path.read_text(encoding="utf-8") for path in (README, *(ROOT / "docs").rglob("*.md")))
    images = (path.name for path in (ROOT / "docs" / "images").iterdir())
    assert_none("a document shows it", [name for name in images if f"images/{name}" not in shown])
