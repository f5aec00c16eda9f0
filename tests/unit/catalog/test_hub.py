"""Pulling from a real HTTP server on this machine that drops connections, lies and refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clocks import wait_until
from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.hub import Hub, is_allowed, remove_from_cache
from smallsight.catalog.manifest import Pins
from smallsight.catalog.transfer import Retries
from smallsight.errors import DownloadError, ModelUnavailableError, StorageError

ENTRY = load_catalog().find("SmolVLM-256M-Instruct")
REPOSITORY = ENTRY.repository
WEIGHTS = "model.safetensors"
FETCHED = {"config.json", "tokenizer.json", WEIGHTS}
HASTY = Retries(max_failures=3, first_delay_s=0.01)


@pytest.fixture
def make(tmp_path, hub):
    def make_hub(endpoint=hub.url, is_offline=False):
        pins = Pins(tmp_path / "home" / "revisions.json")
        return Hub(pins, tmp_path / "cache", endpoint=endpoint, is_offline=is_offline, retries=HASTY)

    return make_hub


def parts(tmp_path: Path) -> list[Path]:
    # os.walk, because folders may vanish while a pull goes on beside this.
    return [
        Path(folder, name)
        for folder, _, names in os.walk(tmp_path / "cache")
        for name in names
        if name.endswith(".smallsight-part")
    ]


def test_pull_leaves_a_whole_checkpoint_and_nothing_else(hub, make, model_files):
    commit = hub.serve(REPOSITORY, model_files)
    pulled = make().pull(ENTRY)
    assert pulled.commit == commit
    assert {path.name for path in pulled.directory.iterdir()} == FETCHED
    for name in FETCHED:
        assert (pulled.directory / name).read_bytes() == model_files[name]
    assert pulled.received_bytes == pulled.size_bytes == sum(len(model_files[name]) for name in FETCHED)
    asked = {r["path"].rsplit("/", 1)[-1] for r in hub.requests() if "/resolve/" in r["path"]}
    assert asked == FETCHED


def test_progress_grows_to_the_total(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    heard = []
    pulled = make().pull(ENTRY, on_progress=lambda done, total, file: heard.append((done, total, file)))
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
    assert {total for _, total, _ in heard} == {pulled.size_bytes}
    assert heard[-1][0] == pulled.size_bytes
    assert {file for _, _, file in heard} == FETCHED


def test_second_pull_asks_the_network_nothing(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    make().pull(ENTRY)
    before = len(hub.requests())
    assert make().pull(ENTRY).received_bytes == 0
    assert len(hub.requests()) == before


def test_the_commit_stays_until_an_update_is_asked_for(hub, make, model_files):
    first = hub.serve(REPOSITORY, model_files)
    make().pull(ENTRY)
    second = hub.serve(REPOSITORY, model_files | {"config.json": b'{"model_type": "idefics3", "new": 1}'})
    assert make().pull(ENTRY).commit == first
    updated = make().pull(ENTRY, update=True)
    assert updated.commit == second != first
    assert updated.received_bytes == (updated.directory / "config.json").stat().st_size
    assert make().pull(ENTRY).commit == second


def test_a_dropped_connection_goes_on_where_it_stopped(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(cuts={WEIGHTS: [300_000, 200_000]})
    pulled = make().pull(ENTRY)
    assert (pulled.directory / WEIGHTS).read_bytes() == model_files[WEIGHTS]
    assert [r["range"] for r in hub.downloads(WEIGHTS)] == [None, "bytes=300000-", "bytes=500000-"]
    assert pulled.received_bytes == pulled.size_bytes


def test_a_pull_that_gave_up_is_resumed_by_the_next(hub, make, model_files, tmp_path):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(cuts={WEIGHTS: [400_000, 0, 0, 0, 0]})
    with pytest.raises(DownloadError, match="network error") as failed:
        make().pull(ENTRY)
    assert "is kept" in failed.value.hint
    assert [part.stat().st_size for part in parts(tmp_path)] == [400_000]
    hub.misbehave()
    pulled = make().pull(ENTRY)
    assert hub.downloads(WEIGHTS)[-1]["range"] == "bytes=400000-"
    assert pulled.received_bytes < pulled.size_bytes
    assert (pulled.directory / WEIGHTS).read_bytes() == model_files[WEIGHTS]


@pytest.mark.parametrize("trouble", [{"no_ranges": True}, {"refuse_ranges": [WEIGHTS]}])
def test_a_server_that_cannot_resume_sends_all_again(hub, make, model_files, trouble):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(cuts={WEIGHTS: [300_000]}, **trouble)
    pulled = make().pull(ENTRY)
    assert (pulled.directory / WEIGHTS).read_bytes() == model_files[WEIGHTS]


@pytest.mark.parametrize("path", [WEIGHTS, "config.json"])
def test_a_wrong_checksum_is_refused_and_not_kept(hub, make, model_files, tmp_path, path):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(corrupt=[path])
    with pytest.raises(DownloadError, match=f"{path} arrived with the wrong checksum"):
        make().pull(ENTRY)
    assert not parts(tmp_path)
    assert not list((tmp_path / "cache").rglob(path))
    hub.misbehave()
    assert (make().pull(ENTRY).directory / path).read_bytes() == model_files[path]


def test_more_bytes_than_promised_are_refused(hub, make, model_files, tmp_path):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(longer=[WEIGHTS])
    with pytest.raises(DownloadError, match="sent more than"):
        make().pull(ENTRY)
    assert not parts(tmp_path)


def test_a_damaged_file_in_the_cache_is_fetched_again(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    directory = make().pull(ENTRY).directory
    blob = (directory / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-10])
    assert make().pull(ENTRY).received_bytes == len(model_files[WEIGHTS])
    assert (directory / WEIGHTS).read_bytes() == model_files[WEIGHTS]


def test_killed_in_the_middle_the_next_pull_goes_on(hub, make, model_files, tmp_path):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(delay_s=0.2)
    script = (
        "import sys; from pathlib import Path\n"
        "from smallsight.catalog.catalog import load_catalog\n"
        "from smallsight.catalog.hub import Hub\n"
        "from smallsight.catalog.manifest import Pins\n"
        "home, cache, url = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]\n"
        "Hub(Pins(home / 'revisions.json'), cache, endpoint=url).pull(load_catalog().find(sys.argv[4]))\n"
    )
    arguments = [str(tmp_path / "home"), str(tmp_path / "cache"), hub.url, ENTRY.name]
    with subprocess.Popen([sys.executable, "-c", script, *arguments]) as process:

        def has_begun() -> bool:
            assert process.poll() is None, "the pull ended before it could be killed"
            return any(part.stat().st_size > 300_000 for part in parts(tmp_path))

        wait_until(has_begun)
        os.kill(process.pid, signal.SIGKILL)
    kept_bytes = parts(tmp_path)[0].stat().st_size
    assert 300_000 < kept_bytes < len(model_files[WEIGHTS])
    hub.misbehave()
    pulled = make().pull(ENTRY)
    assert hub.downloads(WEIGHTS)[-1]["range"] == f"bytes={kept_bytes}-"
    assert (pulled.directory / WEIGHTS).read_bytes() == model_files[WEIGHTS]
    assert not parts(tmp_path)


def test_a_busy_hub_is_asked_again(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(file_statuses={WEIGHTS: [503, 429]})
    assert make().pull(ENTRY).received_bytes > 0
    assert len(hub.downloads(WEIGHTS)) == 3


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ({"api_status": 503}, "too busy"),
        ({"api_status": 429}, "too busy"),
        ({"api_status": 401}, "denied this user"),
        ({"api_status": 403, "api_headers": {"X-Error-Code": "GatedRepo"}}, "denied this user"),
        ({"api_status": 404, "api_headers": {"X-Error-Code": "RevisionNotFound"}}, "has no"),
        ({"api_status": 418}, "refused"),
        ({"api_body": "<html>Please log in</html>"}, "not that of a model hub"),
        ({"api_body": "{}"}, "not that of a model hub"),
        ({"api_body": '{"id": "a/b", "sha": "../../x"}'}, "not that of a model hub"),
        ({"file_statuses": {WEIGHTS: [503] * 9}}, "too busy"),
        ({"file_statuses": {WEIGHTS: [404]}}, "has no"),
        ({"file_statuses": {WEIGHTS: [403]}}, "denied this user"),
    ],
)
def test_refusals_are_sentences(hub, make, model_files, trouble, sentence):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(**trouble)
    with pytest.raises(DownloadError, match=sentence) as failed:
        make().pull(ENTRY)
    assert failed.value.hint
    assert "Traceback" not in str(failed.value)


def test_a_digest_that_is_a_path_is_refused(hub, make):
    siblings = [{"rfilename": WEIGHTS, "size": 3, "blobId": "../../../outside"}]
    hub.misbehave(api_body=json.dumps({"id": REPOSITORY, "sha": "a" * 40, "siblings": siblings}))
    with pytest.raises(DownloadError, match="invalid digest"):
        make().pull(ENTRY)


def test_a_repository_with_only_pickles_is_refused(hub, make):
    hub.serve(REPOSITORY, {"config.json": b"{}", "pytorch_model.bin": b"x"})
    with pytest.raises(DownloadError, match="no safetensors weights"):
        make().pull(ENTRY)


def test_no_network_is_a_sentence_with_a_way_out(make):
    with pytest.raises(DownloadError, match="network error") as failed:
        make(endpoint="http://127.0.0.1:1").pull(ENTRY)
    assert "smallsight models add DIR" in failed.value.hint


def test_offline_asks_nothing_and_says_so(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    with pytest.raises(ModelUnavailableError, match="not on this machine, and downloads are off") as failed:
        make(is_offline=True).pull(ENTRY)
    assert "smallsight models add DIR" in failed.value.hint
    assert hub.requests() == []
    make().pull(ENTRY)
    assert make(is_offline=True).pull(ENTRY).received_bytes == 0


def test_the_offline_variable_is_respected(hub, tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from smallsight.catalog.catalog import load_catalog\n"
        "from smallsight.catalog.hub import Hub\n"
        "from smallsight.catalog.manifest import Pins\n"
        "from smallsight.errors import ModelUnavailableError\n"
        "hub = Hub(Pins(Path(sys.argv[1]) / 'p.json'), Path(sys.argv[1]), endpoint=sys.argv[2])\n"
        "try: hub.pull(load_catalog().find('moondream2'))\n"
        "except ModelUnavailableError as error: print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), hub.url],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "downloads are off" in done.stdout
    assert hub.requests() == []


def test_a_full_disk_is_known_before_the_first_byte(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(claimed_size={WEIGHTS: 10**15})
    with pytest.raises(StorageError, match=r"needs 1000000\.00 GB and .* has .* GB free"):
        make().pull(ENTRY)
    assert not [r for r in hub.requests() if "/resolve/" in r["path"]]


def test_a_cache_that_cannot_be_written_is_a_sentence(hub, make, model_files, tmp_path):
    hub.serve(REPOSITORY, model_files)
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(DownloadError, match="cannot be written") as failed:
        make().pull(ENTRY)
    assert "HF_HUB_CACHE" in failed.value.hint


def test_the_token_goes_to_the_hub_and_is_never_printed(hub, make, model_files, monkeypatch, capfd, caplog):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(file_statuses={WEIGHTS: [403]})
    with caplog.at_level("DEBUG"), pytest.raises(DownloadError) as failed:
        make().pull(ENTRY)
    assert hub.downloads(WEIGHTS)[0]["token"] == "Bearer hf_secret"
    printed = capfd.readouterr()
    assert "hf_secret" not in printed.out + printed.err + caplog.text + str(failed.value)


def test_the_token_does_not_follow_a_redirect_to_another_address(
    hub, other_hub, make, model_files, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.serve(REPOSITORY, model_files)
    other_hub.serve(REPOSITORY, model_files)
    other_hub.misbehave(cuts={WEIGHTS: [300_000]})
    hub.misbehave(redirect_to=other_hub.url)
    pulled = make().pull(ENTRY)
    assert (pulled.directory / WEIGHTS).read_bytes() == model_files[WEIGHTS]
    assert [r["range"] for r in other_hub.downloads(WEIGHTS)] == [None, "bytes=300000-"]
    assert {r["token"] for r in hub.requests()} == {"Bearer hf_secret"}
    assert {r["token"] for r in other_hub.requests()} == {None}


def test_two_pulls_at_once_fetch_each_file_once(hub, make, model_files):
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(delay_s=0.02)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: make().pull(ENTRY), range(2))
    assert first.directory == second.directory
    assert first.received_bytes + second.received_bytes == first.size_bytes
    assert len(hub.downloads(WEIGHTS)) == 1


def test_removing_frees_the_files_and_what_was_left_over(hub, make, model_files, tmp_path):
    hub.serve(REPOSITORY, model_files)
    pulled = make().pull(ENTRY)
    leftover = (pulled.directory / WEIGHTS).resolve().with_name("old.smallsight-part")
    leftover.write_bytes(b"12345")
    assert remove_from_cache(tmp_path / "cache", REPOSITORY, pulled.commit) == pulled.size_bytes + 5
    assert not pulled.directory.exists()
    assert not leftover.exists()


def test_removing_one_commit_keeps_what_another_uses(hub, make, model_files, tmp_path):
    hub.serve(REPOSITORY, model_files)
    first = make().pull(ENTRY)
    hub.serve(REPOSITORY, model_files | {"config.json": b'{"model_type": "smolvlm"}'})
    second = make().pull(ENTRY, update=True)
    remove_from_cache(tmp_path / "cache", REPOSITORY, first.commit)
    assert not first.directory.exists()
    assert (second.directory / WEIGHTS).read_bytes() == model_files[WEIGHTS]


@pytest.mark.parametrize(
    "path",
    ["pytorch_model.bin", "modeling.py", "onnx/model.safetensors", "../config.json", "x.safetensors.py"],
)
def test_files_that_are_never_fetched(path):
    assert not is_allowed(path, ENTRY.files)


@pytest.mark.parametrize("path", ["config.json", "model-00001-of-00002.safetensors", "tokenizer.json"])
def test_files_that_are_fetched(path):
    assert is_allowed(path, ENTRY.files)
