"""The guide's tables and the tree of src are what the code says, and every setting does something."""

import ast
import importlib.util
import re

import typer
from pydantic import BaseModel

from contract.checkout import GUIDE, PACKAGE, ROOT, assert_none, parsed, place, python_files
from error_classes import ERROR_CLASSES
from smallsight.cli.commands import whole_command_line
from smallsight.cli.compared_results import REGRESSION
from smallsight.cli.validate import DO_NOT_SHIP, EXPERIMENTAL, STABLE, UNDECIDED
from smallsight.settings import Settings

WRITER = ROOT / "docs" / "write_reference.py"


def load_writer():
    spec = importlib.util.spec_from_file_location("write_reference", WRITER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_of_settings(model, prefix=""):
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from names_of_settings(annotation, f"{prefix}{name}.")
        else:
            assert field.description, f"the setting {prefix}{name} has no description"
            yield prefix + name


def commands(command, path=("smallsight",)):
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from commands(child, (*path, name))


SETTINGS = list(names_of_settings(Settings))
COMMANDS = dict(commands(typer.main.get_command(whole_command_line())))


def documented_settings():
    rows = re.findall(
        r"^\| `([\w.]+)` \| `(SMALLSIGHT_\w+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(rows)


def documented_commands():
    text = GUIDE.read_text(encoding="utf-8")
    sections = re.split(r"^### `(smallsight[^`]*)`$", text, flags=re.MULTILINE)[1:]
    return dict(zip(sections[::2], sections[1::2], strict=True))


def test_generated_parts_of_the_documents_are_up_to_date():
    outdated = load_writer().outdated(repair=False)
    assert outdated == [], "run `python docs/write_reference.py`"


def test_settings_in_the_guide_are_those_that_exist():
    assert sorted(documented_settings()) == sorted(SETTINGS)


OTHER_VALUES = {
    "tags.min_score": "0.7",
    "tags.vocabulary": "/things.txt",
    "immich.allowed_addresses": '["10.0.0.0/8"]',
    "immich.enabled": "true",
    "home": "/somewhere",
    "aliases": '{"gpt-4o": "test"}',
    "active_model": "test",
    "inference.dtype": "int8",
    "inference.max_tokens": "77",
    "memory.cleanup_aggressive": "true",
    "memory.max_gb": "1.5",
    "models": '{"test": {"inference": {"max_tokens": 3}}}',
    "remotes": '{"far": {"base_url": "http://localhost:1/v1"}}',
    "server.allowed_hosts": '["nas"]',
    "server.allowed_origins": '["https://chat.example"]',
    "server.host": "::1",
    "server.picture_hosts": '["*"]',
    "describe.folders": '["/somewhere"]',
    "describe.detail": "high",
    "describe.length": "short",
    "describe.model": "test",
    "describe.precision": "int8",
    "describe.prompt": "What is this?",
    "embedding.model_dir": "/elsewhere",
    "embedding.precision": "fp32",
    "generator.app_url": "http://meme_search:3000",
    "generator.database": "/elsewhere",
    "generator.host": "::1",
    "generator.mounted": "true",
    "generator.pictures": "/somewhere",
    "generator.retry_delays_s": "[1]",
    "index.exclude": '["x"]',
    "tags.model": "test",
    "tags.precision": "int8",
    "index.follow_symlinks": "true",
    "index.looks": "false",
    "index.metadata": "false",
    "index.ocr": "false",
    "kernels": "false",
    "log_format": "json",
    "picture_embedding.min_similarity": "0.5",
    "picture_embedding.model": "/somewhere",
    "picture_embedding.precision": "fp32",
    "log_level": "debug",
    "search.min_similarity": "0.5",
    "server.folder_roots": '["/somewhere"]',
    "server.upload_folder": "/elsewhere",
    "server.watch": "false",
    "validation.experimental_quality": "0.5",
    "validation.max_gibberish": "0.5",
    "validation.stable_exact": "0.5",
    "validation.stable_quality": "0.9",
}


def another_value(settings, name):
    """Return a text that sets a setting to something else than it is: one more, where it is a number."""
    value = settings
    for part in name.split("."):
        value = getattr(value, part)
    return OTHER_VALUES[name] if name in OTHER_VALUES else str(type(value)(value + 1))


def test_a_setting_can_be_set_by_the_variable_the_guide_names(monkeypatch):
    before, deaf = Settings(), []
    for name, variable in documented_settings().items():
        with monkeypatch.context() as environment:
            environment.setenv(variable, another_value(before, name))
            if Settings() == before:
                deaf.append(f"{variable} does not set {name}")
    assert_none("a setting is set by its variable", deaf)


def attributes_used_by_src():
    """Return every attribute name that is read or called anywhere but in the table of settings itself."""
    return {
        node.attr
        for path in python_files("src")
        if path != PACKAGE / "settings.py"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
    }


def test_a_setting_is_used_by_something():
    used = attributes_used_by_src()
    assert_none(
        "a setting changes something", [name for name in SETTINGS if name.rsplit(".", 1)[-1] not in used]
    )


def test_commands_in_the_guide_are_those_that_exist():
    assert sorted(documented_commands()) == sorted(COMMANDS)


def differences(name, section):
    """Yield how a command and its section of the guide differ, and what of it has no help."""
    rows = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    documented = {spelling for row in rows for spelling in row.split(", ")}
    parameters = [parameter for parameter in COMMANDS[name].params if parameter.name != "help"]
    real = {
        spelling
        for parameter in parameters
        for spelling in (
            parameter.opts
            if parameter.param_type_name == "option"
            else [parameter.name.upper() + ("..." if parameter.nargs == -1 else "")]
        )
    }
    yield from (f"{name} {spelling}: not in the guide" for spelling in sorted(real - documented))
    yield from (f"{name} {spelling}: only in the guide" for spelling in sorted(documented - real))
    yield from (f"{name} {parameter.name}: has no help" for parameter in parameters if not parameter.help)


def test_options_in_the_guide_are_those_of_the_commands():
    sections = documented_commands()
    found = [one for name in COMMANDS for one in differences(name, sections.get(name, ""))]
    assert_none("the guide lists a command's options, and each has a help text", found)


def test_a_difference_would_be_noticed():
    found = list(differences("smallsight search", "| `--nothing` | x |"))
    assert "smallsight search --nothing: only in the guide" in found
    assert "smallsight search --json: not in the guide" in found


def test_every_command_speaks_json_and_can_be_quiet():
    options = {
        name: {spelling for parameter in command.params for spelling in parameter.opts}
        for name, command in COMMANDS.items()
    }
    found = [name for name in COMMANDS if name != "smallsight" and not {"--json", "--quiet"} <= options[name]]
    assert_none("a command has --json and --quiet", found)


def test_the_tree_names_every_file_of_src():
    tree = (ROOT / "docs" / "tree.md").read_text(encoding="utf-8")
    missing = [place(path) for path in python_files("src") if f" {path.name} " not in tree + " "]
    assert [name for name in missing if not name.endswith("__init__.py")] == []


def test_the_nouns_of_the_architecture_are_types_of_src():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[A-Z].*?) \|", page.split("## Nouns")[1].split("\n## ")[0], re.MULTILINE)
    nouns = {noun for row in rows for noun in re.findall(r"`(\w+)`", row)}
    classes = {
        node.name
        for path in python_files("src")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
    }
    assert len(nouns) >= 20
    assert sorted(nouns - classes) == []


def test_exit_codes_of_the_guide_are_those_of_the_errors():
    section = GUIDE.read_text(encoding="utf-8").split("## Exit codes")[1].split("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    real = {one.exit_code for one in ERROR_CLASSES}
    verdicts = {STABLE, EXPERIMENTAL, DO_NOT_SHIP, UNDECIDED, REGRESSION}
    assert len(verdicts) == 5
    assert verdicts & real == set()
    assert documented == real | verdicts | {130, 141}
