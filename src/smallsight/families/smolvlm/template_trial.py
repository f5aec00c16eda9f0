"""Renders a checkpoint's chat template in a child process before it is ever compiled in this one.

A template is a program of whoever made the checkpoint: it may loop, need all memory, or freeze Python in one
operation that nothing can interrupt. The result is remembered by the template's text.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SmallsightError
from smallsight.families.smolvlm.chat_template import damaged, find_template
from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildTimeoutError
from smallsight.media.wire import OUT_OF_MEMORY
from smallsight.policy.log import get_logger

__all__ = ["require_usable_template"]

log = get_logger(__name__)

_CHILD = "smallsight.families.smolvlm.template_child"
_PACKAGE = Path(__file__).parents[2]
_TRIED: dict[str, str] = {}  # templates that can be used, in this process
_VERSION = 1  # of the conversations and limits: another one tries every template again
_STATE_NAME = "chat-templates.json"
_MAX_REMEMBERED = 200
_MEMORY_BYTES = 512 * 1024**2  # of address space
_WALL_S = 60.0  # on a machine that is busy; processor time ends the child much earlier
_TOO_LONG = "rendering it takes too long"
_NOT_IN_TIME = "rendering it did not end in time"  # perhaps because of the machine
_TOO_MUCH = "rendering it takes too much memory"


def require_usable_template(model_dir: Path, notes_dir: Path | None) -> None:
    """Raise BrokenCheckpointError if the template of a folder is missing or damaged.

    In ``notes_dir`` what was found is remembered; a note that cannot be read or written only costs time.
    Templates that are part of this package are not tried.
    """
    stored = find_template(model_dir)
    if _PACKAGE in stored.path.parents:
        return
    data = json.dumps({"text": stored.text, "tokens": dict(stored.tokens)}).encode()
    digest = f"{_VERSION} {hashlib.sha256(data).hexdigest()}"
    why = _TRIED.get(digest)
    if why is None and notes_dir is not None:
        why = _recall(notes_dir, digest)
    if why is None:
        why = _try(data)
        if notes_dir is not None and why != _NOT_IN_TIME:
            _remember(notes_dir, digest, why)
    if not why:
        _TRIED[digest] = why
    if why:
        raise damaged(stored.path, why)


def _try(data: bytes) -> str:
    """Return why a template cannot be used, empty if it can."""
    child = ChildProcess(_MEMORY_BYTES, module=_CHILD)
    try:
        reply, _ = child.exchange({}, data, _WALL_S, max_reply_bytes=0)
    except ChildTimeoutError:
        return _NOT_IN_TIME
    except ChildEndedError:
        return _TOO_LONG
    child.close()
    why = str(reply["why"])
    return _TOO_MUCH if why == OUT_OF_MEMORY else why


def _recall(notes_dir: Path, digest: str) -> str | None:
    try:
        why = read_state(notes_dir / _STATE_NAME).get(digest)
    except SmallsightError:
        return None
    return why if isinstance(why, str) else None


def _remember(notes_dir: Path, digest: str, why: str) -> None:
    path = notes_dir / _STATE_NAME
    try:
        with locked_state(path):
            try:
                state = dict(read_state(path))
            except SmallsightError:
                state = {}
            kept = list(state.items())[-_MAX_REMEMBERED:]
            write_state(path, {**dict(kept), digest: why})
    except (OSError, SmallsightError) as error:
        log.info("chat_template_not_remembered", path=str(path), reason=str(error))
