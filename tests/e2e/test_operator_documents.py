"""What the pages for servers, clusters and other programs tell people to type, and why some is not.

A line that begins with `smallsight` is run as it stands, but on loopback. Other lines belong to programs that
the machine of a test lacks or must not use: each has its reason here, and what such a line says about
Smallsight is compared with this release.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from known_commands import unknown_in

from .document_reader import Person, reader
from .document_steps import OPERATOR_PAGES, ROOT, Step, steps

# What is not run, by the first word of a line.
PROGRAMS_NOT_RUN = {
    "docker": "there is no container engine; tests/contract/test_deploy.py reads the files of these lines",
    "systemctl": "it changes the machine's services; test_deploy.py lets systemd verify and rate the unit",
    "systemd-run": "it needs a running systemd",
    "cp": "it writes into /etc",
    "pip": "it installs; the extras are those of pyproject.toml, which the last test here compares",
    "make": "this test is a part of it",
    ".venv/bin/python": "it runs the tests, or writes what test_documented_reference.py compares",
    "serve": "it is the program of Ray Serve; tests/e2e/test_ray.py calls what it names with its arguments",
}
LINES_NOT_RUN = {
    "smallsight caption ~/Pictures --out captions.parquet --model SmolVLM-256M-Instruct-int8 "
    "--ray 10.0.0.5:6379": "it needs a cluster; tests/e2e/test_ray.py starts one",
}
# Python blocks, and which test runs each.
PROGRAMS = {"docs/ray.md": ("tests/e2e/test_ray.py", "tests/e2e/clients/test_daft_recipe.py")}
# Where a program of ours begins in the line of another one.
_OURS = re.compile(
    r"(?:/opt/smallsight/bin/smallsight|run --rm (?:smallsight|image_to_text_generator)) (?P<arguments>.*)$"
)


def lines() -> Iterator[Step]:
    """Yield every line for a shell of these pages."""
    for page in OPERATOR_PAGES:
        yield from (step for step in steps(page) if step.language == "sh")


def first_word(step: Step) -> str:
    return step.text.split()[0]


@pytest.fixture(scope="module")
def person(
    tmp_path_factory: pytest.TempPathFactory, prepared: Path, draw_text: Callable[[Path, str], None]
) -> Iterator[Person]:
    with reader(tmp_path_factory.mktemp("operator"), prepared, {}, draw_text) as one:
        yield one


@pytest.mark.slow
def test_lines_of_ours_do_what_the_pages_say(person: Person):
    typed = []
    for step in lines():
        if not step.is_command or step.text in LINES_NOT_RUN:
            continue
        if step.text.split()[1] == "serve":
            person.serve(step.text.replace("--host 0.0.0.0", "--host 127.0.0.1"))
            person.stop_serving()
        else:
            code, _, err = person.type(step.text)
            assert code == 0, f"{step.place}: {step.text}\n{err}"
        typed.append(step.text)
    assert len(typed) >= 2


def test_every_other_line_is_left_out_for_a_reason():
    unexplained = [
        f"{step.place}: {step.text}"
        for step in lines()
        if not step.is_command and first_word(step) not in PROGRAMS_NOT_RUN
    ]
    assert unexplained == []


def test_every_reason_is_still_needed():
    found = list(lines())
    assert PROGRAMS_NOT_RUN.keys() <= {first_word(step) for step in found}
    assert LINES_NOT_RUN.keys() <= {step.text for step in found}


def test_our_commands_inside_other_lines_exist():
    inside = [
        (step, shlex.split(match["arguments"])) for step in lines() if (match := _OURS.search(step.text))
    ]
    assert len(inside) >= 6
    assert [(step.place, unknown) for step, words in inside if (unknown := unknown_in(words))] == []


def test_programs_of_these_pages_are_run_by_a_test_that_names_the_page():
    with_programs = {
        page.relative_to(ROOT).as_posix()
        for page in OPERATOR_PAGES
        for step in steps(page)
        if step.language == "python"
    }
    assert with_programs == PROGRAMS.keys()
    for page, tests in PROGRAMS.items():
        for test in tests:
            assert Path(page).name in (ROOT / test).read_text(encoding="utf-8"), test


def test_extras_in_pip_lines_exist():
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = declared[declared.index("[project.optional-dependencies]") :]
    named = [
        extra
        for step in lines()
        if first_word(step) == "pip"
        for group in re.findall(r"smallsight\[(.*?)\]", step.text)
        for extra in group.split(",")
    ]
    assert named
    assert [extra for extra in named if not re.search(rf"^{extra} = \[", extras, re.MULTILINE)] == []
