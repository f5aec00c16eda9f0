"""The files in deploy/: what they run and set exists in this release. No container engine is needed."""

import re

import pytest
import typer
import yaml

from contract.checkout import ROOT
from smallsight.cli.commands import whole_command_line
from smallsight.settings import Settings

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"] == "smallsight"}


def commands():
    """Yield every command line of Smallsight in the compose file, its image and its guide."""
    for name, service in OURS.items():
        yield pytest.param(service["command"], id=name)
    last = re.findall(
        r"^CMD (\[.*\])$", (DEPLOY / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE
    )[-1]
    yield pytest.param(yaml.safe_load(last), id="Containerfile")
    for service, rest in re.findall(r"^docker compose .*?run --rm (\w+) (.*)$", GUIDE, re.MULTILINE):
        if service in OURS:
            yield pytest.param(rest.split(), id=rest)


def unknown_in(arguments):
    """Return the first part of a command line that this release does not know, or None."""
    command, rest = typer.main.get_command(whole_command_line()), list(arguments)
    while rest and hasattr(command, "commands"):
        if rest[0] not in command.commands:
            return rest[0]
        command = command.commands[rest.pop(0)]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return next((part for part in rest if part.startswith("-") and part not in options), None)


@pytest.mark.parametrize("arguments", list(commands()))
def test_every_command_and_option_exists(arguments):
    assert unknown_in(arguments) is None


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        (["serve", "--prot", "1"], "--prot"),
        (["serv"], "serv"),
        (["keys", "ad"], "ad"),
        (["keys", "add", "x"], None),
    ],
)
def test_a_wrong_command_line_would_be_noticed(arguments, unknown):
    assert unknown_in(arguments) == unknown


def test_every_setting_in_the_environment_exists_and_is_valid():
    for service in OURS.values():
        for variable, value in service["environment"].items():
            if not variable.startswith("SMALLSIGHT_"):
                continue
            model, names = Settings, variable.removeprefix("SMALLSIGHT_").lower().split("__")
            for name in names[:-1]:
                model = model.model_fields[name].annotation
            assert names[-1] in model.model_fields, variable
            if not value.startswith("${"):
                model.model_validate({names[-1]: yaml.safe_load(value)})


def test_names_that_the_services_call_each_other_by_exist():
    services = COMPOSE["services"]
    called = set(
        re.findall(r"(?:http|postgres)://(?:[^@/ ]*@)?([\w-]+):\d+", (DEPLOY / "compose.yaml").read_text())
    )
    assert called - {"127"} <= services.keys() | {"smallsight"}
    assert "image_to_text_generator" in called
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()


def test_ports_of_the_host_are_its_own_only():
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_every_file_that_the_image_copies_is_there():
    copied = re.findall(
        r"^COPY (.*) \S+$", (DEPLOY / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert all((ROOT / name).exists() for line in copied for name in line.split())


def test_the_guide_says_that_it_was_not_run():
    assert "has not been run" in GUIDE
