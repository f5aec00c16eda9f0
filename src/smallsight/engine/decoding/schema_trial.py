"""Decides whether a JSON schema is cheap enough to compile, by compiling it in a child process first.

The grammar library cannot be stopped while it compiles, and short schemas may take it minutes; a process
can be ended. What it said about a schema is remembered, refusals too.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import re
import threading
from collections import OrderedDict
from functools import cache

from smallsight.engine.decoding.schema_dialect import adapted_schema
from smallsight.errors import ArgumentError, InvalidTextError
from smallsight.media.child_process import ChildEndedError, ChildProcess
from smallsight.policy.valid_text import is_valid_text

MAX_SCHEMA_CHARS = 65_536
CPU_MS = 200  # of processor time for one schema
_WALL_S = 2.0  # on a machine that is busy, and where processor time cannot be limited
_MAX_REMEMBERED = 256
_MAX_REASON_CHARS = 200
_CHILD = "smallsight.engine.decoding.schema_child"
_OF_THE_LIBRARY = "x-guidance"  # its options, which could switch strictness off
# Reasons that tell the author of a schema what to change; anything else the library says stays here.
_USEFUL = re.compile(
    r"Unimplemented keys|Unknown format|Unsatisfiable schema|Invalid type|Pointer |Expected |"
    r"Value for '|properties must|regex parse error|pattern |invalid multiple|Failed to generate regex for"
)
_TOO_COMPLEX = "too complex"


class SchemaTrial:
    """Tries schemas, one at a time. Thread-safe."""

    def __init__(self, cpu_ms: int = CPU_MS) -> None:
        self._cpu_ms = cpu_ms
        self._verdicts: OrderedDict[bytes, str | None] = OrderedDict()
        self._child: ChildProcess | None = None
        self._turn = threading.Lock()
        self.num_tried = 0

    def require_usable(self, schema: str) -> None:
        """Raise ArgumentError if a schema, as ``plain_schema`` returns it, is too complex or unsupported."""
        digest = hashlib.sha256(schema.encode()).digest()
        with self._turn:
            if digest in self._verdicts:
                self._verdicts.move_to_end(digest)
            else:
                self._verdicts[digest] = self._try(schema)
                if len(self._verdicts) > _MAX_REMEMBERED:
                    self._verdicts.popitem(last=False)
            why = self._verdicts[digest]
        if why is not None:
            raise refusal(why)

    def close(self) -> None:
        """End the child."""
        with self._turn:
            if self._child is not None:
                self._child.kill()
                self._child = None

    def _try(self, schema: str) -> str | None:
        """Return None for a schema that can be used, else the reason."""
        self.num_tried += 1
        if self._child is None or not self._child.is_alive():
            self._child = ChildProcess(self._cpu_ms, module=_CHILD)
        try:
            reply, _ = self._child.exchange({}, schema.encode(), _WALL_S, max_reply_bytes=0)
        except ChildEndedError:
            self._child = None
            return _TOO_COMPLEX
        return str(reply["why"]) or None


@cache
def schema_trial() -> SchemaTrial:
    """Return the trial that all models of this process share; its child is started with the first schema."""
    trial = SchemaTrial()
    atexit.register(trial.close)
    return trial


def require_usable_schema(schema: str) -> None:
    """Raise ArgumentError if a schema cannot be used. Takes seconds at most; do not call in an event loop."""
    schema_trial().require_usable(plain_schema(schema))


def plain_schema(schema: str) -> str:
    """Return a schema as the grammar library takes it; raises ArgumentError if it is not an object.

    Its own options are removed.
    """
    if len(schema) > MAX_SCHEMA_CHARS:
        raise ArgumentError(
            f"The JSON schema has {len(schema)} characters (limit {MAX_SCHEMA_CHARS}).", hint="shorten it."
        )
    if not is_valid_text(schema):
        raise InvalidTextError.of("The JSON schema")
    try:
        parsed = json.loads(schema)
    except RecursionError as error:
        raise refusal(_TOO_COMPLEX) from error
    except ValueError as error:
        raise ArgumentError("The JSON schema is not JSON.", hint="give an object.") from error
    if not isinstance(parsed, dict):
        raise ArgumentError("The JSON schema is not an object.", hint='write {} for "any value".')
    try:
        adapted = adapted_schema(parsed)
        adapted.pop(_OF_THE_LIBRARY, None)
        return schema if adapted == parsed else json.dumps(adapted)
    except RecursionError as error:
        raise refusal(_TOO_COMPLEX) from error


def refusal(why: str) -> ArgumentError:
    """Return the error for what the library said about a schema: its words only where they help."""
    if _USEFUL.match(why):
        line = "".join(one if one.isprintable() else " " for one in why.partition("\n")[0])
        return ArgumentError(
            f"The JSON schema is not supported: {line[:_MAX_REASON_CHARS].rstrip('.:')}.",
            hint="remove the unsupported part.",
        )
    if "hex escape" in why:
        return InvalidTextError.of("The JSON schema")
    if why.startswith("Resource "):
        return ArgumentError(
            "The JSON schema refers to another document, which is not followed.", hint="put it into $defs."
        )
    if why == "NoExtensionBias":
        return ArgumentError("The JSON schema allows no answer.", hint="check its conditions.")
    return ArgumentError("The JSON schema is too complex.", hint="simplify it.")
