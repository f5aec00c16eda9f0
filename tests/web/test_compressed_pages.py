"""Pages are compressed for browsers that take it, and no secret in them stays the same."""

from __future__ import annotations

import re
from pathlib import Path

from contract.served import served
from smallsight.web.form_token import FormTokens

_TOKEN = re.compile(r'name="form-token" content="([0-9a-f]+)"')


def test_a_page_is_compressed_where_the_browser_takes_that(tmp_path: Path):
    with served(tmp_path) as (client, _):
        plain = client.get("/app/settings", headers={"accept-encoding": "identity"})
        packed = client.get("/app/settings", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert _TOKEN.sub("", packed.text).count("<form") == plain.text.count("<form") > 0


def test_each_page_has_another_token_and_all_of_them_are_valid(tmp_path: Path):
    with served(tmp_path) as (client, _):
        found = [_TOKEN.search(client.get("/app/settings").text) for _ in range(3)]
        tokens = [one[1] for one in found if one is not None]
        form = {"form_token": tokens[0]}
        assert client.post("/app/folders/scan", data=form, follow_redirects=False).status_code == 303
    form_tokens = FormTokens(tmp_path / "web-secret")
    assert len(set(tokens)) == 3
    assert all(form_tokens.is_valid(token, "") for token in tokens)
    assert not form_tokens.is_valid(tokens[0], "another session")
    for wrong in ("", tokens[0][:-1], tokens[0][16:], "ä" * 80):
        assert not form_tokens.is_valid(wrong, "")
