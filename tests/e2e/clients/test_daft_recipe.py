"""Daft asks a server, as docs/ray.md says, in the environment of the other clients."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from e2e.clients.test_clients import MODEL, PYTHON, ROOT, needs_clients
from e2e.serving import running
from smallsight.http.api_keys import DEFAULT_SCOPES, ApiKeys

NUM_PICTURES = 40
AT_ONCE = 3


def recipe() -> str:
    """Return the block of the document that uses Daft."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ray.md").read_text("utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if "import daft" in block)
    return found


@pytest.mark.slow
@needs_clients
def test_the_recipe_of_the_document_ends_with_a_row_for_each_picture(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pictures, out, home = tmp_path / "pictures", tmp_path / "rows", tmp_path / "home"
    pictures.mkdir()
    stickers = sorted((ROOT / "examples" / "stickers").glob("*.png"))
    for number in range(NUM_PICTURES):
        (pictures / f"{number}.png").write_bytes(stickers[number % len(stickers)].read_bytes())
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    key = ApiKeys(home / "api-keys.json").add("daft", DEFAULT_SCOPES)
    environment = {**os.environ, "DO_NOT_TRACK": "true", "HOME": str(tmp_path)}
    with running(home, "--model", MODEL, server__max_requests=str(2 * AT_ONCE)) as server:
        program = recipe()
        for old, new in {
            "http://10.0.0.5:8420": server.url,
            "ss-KEY": key,
            "SmolVLM-256M-Instruct-int8": MODEL,
            "/shared/pictures": str(pictures),
            "/shared/captions": str(out),
            "at_once=16": f"at_once={AT_ONCE}",
        }.items():
            assert old in program
            program = program.replace(old, new)
        subprocess.run([PYTHON, "-c", program], env=environment, check=True, timeout=240)
        refused = re.search(r"\bstatus\W{1,3}429\b", server.log.read_text(encoding="utf-8"))
    rows = [row for file in sorted(out.glob("*.parquet")) for row in parquet.read_table(file).to_pylist()]
    by_name = {row["path"].rpartition("/")[2]: row for row in rows}
    assert len(rows) == len(by_name) == NUM_PICTURES + 1
    assert "damaged" in by_name["broken.jpg"]["error"]
    assert by_name["broken.jpg"]["caption"] is None
    owl = stickers.index(ROOT / "examples" / "stickers" / "sticker_2.png")
    assert "owl" in by_name[f"{owl}.png"]["caption"]
    assert [name for name, row in by_name.items() if row["error"] and name != "broken.jpg"] == []
    assert refused is None, "more at once than the recipe says"
