"""The documentation site: built as by `make docs`, a page for each topic, and nothing from other hosts."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from contract.checkout import GUIDE, ROOT, assert_none, markdown_files, place
from e2e.document_steps import FIRST_STEPS, README, TEAM, steps

# What tests/e2e/test_document_examples.py types, as it stands.
TYPED = {README, FIRST_STEPS, GUIDE, TEAM}
# Records of what was done once, and what developers type.
# docs/ray.md needs a cluster: tests/e2e/test_ray.py runs its command and its pipeline there.
NOT_TYPED = {"CONTRIBUTING.md", "docs/lab-log.md", "docs/ray.md", "docs/real-world-log.md"}
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


def test_pages_with_lines_to_type_are_typed_by_a_test():
    """A block without a language, and one in sh or python, is what readers copy; other blocks say `text`."""
    on_site = [path for path in markdown_files() if path.is_relative_to(ROOT / "docs")]
    on_site += [ROOT / source for source in pages.FROM_THE_ROOT.values()]
    untested = [
        f"{place(path)}: {step.text.splitlines()[0]}"
        for path in on_site
        if path not in TYPED and place(path) not in NOT_TYPED and path.parent.name != "decisions"
        for step in steps(path)
        if step.language in {"sh", "python"}
    ]
    assert_none("a page whose lines are typed by test_document_examples.py", untested)


def test_pictures_of_the_documents_are_made_by_scripts():
    scripts = "".join(path.read_text(encoding="utf-8") for path in Path(ROOT / "docs").glob("*.py"))
    scripts += (ROOT / "Makefile").read_text(encoding="utf-8")
    by_hand = {"open-webui"}  # another program's page, shown in docs/containers.md
    found = [path.name for path in (ROOT / "docs" / "images").iterdir() if path.stem not in by_hand]
    assert_none("a script writes it", [name for name in found if Path(name).stem not in scripts])
