"""The files in deploy/: what they run and set exists in this release. No container engine is needed."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml
from release.dockerfile import instructions, needed_stages, read_dockerfile, read_variables
from release.pins import read_pins

from contract.checkout import ROOT, assert_none
from known_commands import unknown_in
from smallsight.settings import Settings

DEPLOY = ROOT / "deploy"
FILES = sorted(DEPLOY.glob("compose*.yaml"))
COMPOSED = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES]
SERVICES = {name: one for file in COMPOSED for name, one in file["services"].items()}
GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "smallsight"}
STAGES = read_dockerfile(DEPLOY / "Dockerfile")
UNIT = (DEPLOY / "smallsight.service").read_text(encoding="utf-8")


def commands():
    """Yield every command line of Smallsight in the files and their guide."""
    for name, service in OURS.items():
        yield pytest.param(service["command"], id=name)
    last = [one for one in STAGES["runtime"].instructions if one.name == "CMD"][-1]
    yield pytest.param(last.as_list(), id="Dockerfile")
    yield pytest.param(re.search(r"^ExecStart=\S+ (.*)$", UNIT, re.MULTILINE)[1].split(), id="unit")
    for service, rest in re.findall(r"^docker compose .*?run --rm (\w+) (.*)$", GUIDE, re.MULTILINE):
        if service in OURS:
            yield pytest.param(rest.split(), id=rest)


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
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    called = set(re.findall(r"(?:http|postgres)://(?:[^@/ ]*@)?([\w-]+):\d+", text))
    assert called - {"127"} <= SERVICES.keys()
    assert "image_to_text_generator" in called
    for service in SERVICES.values():
        assert service.get("depends_on", {}).keys() <= SERVICES.keys()


def test_a_compose_file_stands_alone_or_beside_that_of_smallsight():
    """No file names a service or a volume that neither it nor compose.yaml has."""
    first = COMPOSED[FILES.index(DEPLOY / "compose.yaml")]
    for file in COMPOSED:
        known = {**first["services"], **file["services"]}
        volumes = {**first["volumes"], **file["volumes"]}
        for service in file["services"].values():
            assert service.get("depends_on", {}).keys() <= known.keys()
            named = [one.split(":")[0] for one in service.get("volumes", ()) if one[0] not in "./$"]
            assert set(named) <= volumes.keys()


def test_ports_of_the_host_are_its_own_only():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_our_containers_have_no_rights_and_a_read_only_root():
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_every_file_that_the_image_copies_is_there_and_not_ignored():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        name
        for stage in STAGES.values()
        for one in stage.instructions
        if one.name == "COPY" and not one.text.startswith("--from")
        for name in one.text.split()[:-1]
    ]
    assert len(copied) > 5
    assert_none("it exists", [name for name in copied if not (ROOT / name).exists()])
    assert_none("it is not ignored", [name for name in copied if name not in kept])


def test_each_image_has_a_user_a_volume_a_health_check_and_what_its_stages_made():
    for target in ("full", "small", "cuda"):
        assert needed_stages(STAGES, target)[:1] == ["python"]
        assert STAGES[target].base == "runtime"
        assert STAGES["runtime"].base == "scratch"
    last = {one.name: one.text for one in STAGES["runtime"].instructions}
    assert last["USER"] == "1000:1000"
    assert last["VOLUME"] == "/data"
    assert "/health/live" in last["HEALTHCHECK"]
    assert list(STAGES)[-1] == "full"  # what is built without --target


def test_no_image_but_that_for_cuda_is_made_with_torch():
    for target in ("full", "small"):
        steps = [one.text for name in needed_stages(STAGES, target) for one in STAGES[name].instructions]
        assert not any("torch" in step for step in steps)
    locked = {pin.name for pin in read_pins(ROOT / "requirements" / "image-reading.txt")}
    assert not {"torch", "transformers", "onnxruntime"} & locked


def test_an_unknown_instruction_is_not_left_out():
    with pytest.raises(ValueError, match="SHELL"):
        list(instructions("FROM a AS b\nSHELL x\n"))


def test_comments_inside_a_step_and_continued_lines_are_read_as_by_an_engine():
    text = "ARG BASE=x:1\nFROM ${BASE} AS a\nRUN one \\\n# why\n    && two\nENV P=/a:$P \\\n    Q=1\n"
    assert [(one.name, one.text) for one in instructions(text)] == [
        ("ARG", "BASE=x:1"),
        ("FROM", "${BASE} AS a"),
        ("RUN", "one      && two"),
        ("ENV", "P=/a:$P Q=1"),
    ]
    assert read_variables("P=/a:$P Q=1", {"P": "/b"}) == {"P": "/a:/b", "Q": "1"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit_and_rates_it_well(tmp_path):
    here = tmp_path / "smallsight.service"
    here.write_text(UNIT.replace("/opt/smallsight/bin/smallsight", sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", here], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    rate = ["systemd-analyze", "security", "--offline=true", "--threshold=20", here]
    rated = subprocess.run(rate, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout[-300:]


def test_the_guide_says_what_was_not_run():
    assert "No container engine has run these files" in GUIDE
