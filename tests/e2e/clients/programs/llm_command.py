"""The command line program llm, with OpenAI's protocol and with llm-ollama: the first argument says which."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell

PROTOCOL = sys.argv.pop(1)


def program(given: Given, report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_in(Path(folder), given, report)


def run_in(folder: Path, given: Given, report: Report) -> None:
    """Write llm's configuration, and ask."""
    listed = {
        "model_id": "tiny",
        "model_name": given.model,
        "api_base": given.openai_url,
        "api_key_name": "smallsight",
        "vision": True,
        "supports_schema": True,
        "supports_tools": True,
    }
    (folder / "extra-openai-models.yaml").write_text(json.dumps([listed]))
    (folder / "keys.json").write_text(json.dumps({"smallsight": given.key}))
    environment = {**os.environ, "LLM_USER_PATH": str(folder)}
    environment |= {"OLLAMA_HOST": given.url, "OLLAMA_API_KEY": given.key}
    environment |= {"LLM_LOAD_PLUGINS": "llm-ollama" if PROTOCOL == "ollama" else ""}
    model = "tiny" if PROTOCOL == "openai" else given.model

    def llm(*arguments: str) -> str:
        command = [str(Path(sysconfig.get_path("scripts")) / "llm"), *arguments]
        done = subprocess.run(
            command, check=False, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    asked = ("-m", model, QUESTION, "-a", str(given.picture))
    with report.feature("picture") as said:
        whole = llm("--no-stream", *asked)
        said(whole)
    with report.feature("second turn") as said:
        said(llm("-c", NEXT_QUESTION))
    with report.feature("stream") as said:
        streamed = llm(*asked)
        assert streamed == whole
        said(streamed)
    with report.feature("structured output") as said:
        said(Seen.model_validate_json(llm("--schema", json.dumps(Seen.model_json_schema()), *asked)))
    with report.feature("offered tools") as said:
        said(llm("-T", "llm_version", *asked))


tell(program)
