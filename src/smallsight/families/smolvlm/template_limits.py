"""Bounds what one rendering of a chat template may use: processor time, sizes of values, numbers, output.

Jinja's sandbox keeps a template away from Python, but not from endless loops and huge values. Here every
iteration, call, filter and piece of output passes a check; operations that could grow a value are measured
before they run. A single comparison of deeply nested lists cannot be interrupted: such a template is found by
rendering it in a child process first (``template_trial``).
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import islice
from typing import Any, cast

from jinja2 import TemplateError, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

__all__ = ["CPU_S", "BoundedEnvironment", "TemplateLimitError"]

CPU_S = 2.0  # of processor time; usual templates take milliseconds
MAX_VALUE_CHARS = 4_000_000
MAX_MADE_CHARS = 32_000_000
_TICKS_PER_LOOK = 16  # at the clock, which costs about a microsecond
_MAX_ITEMS = 1_000_000
_MAX_NUMBER = 1_000_000
_MAX_INDENT = 100
_MAX_BITS = 4096
_HUGE = "it makes a huge value"
_STEPS, _JOINED = "smallsight_steps", "smallsight_joined"  # filters that templates do not name
_WIDE = re.compile(r"[0-9]{5,}")  # a width or precision in a format
_STRINGIFYING = frozenset(
    "string tojson join pprint upper lower title capitalize trim escape e forceescape indent center replace "
    "format wordcount wordwrap striptags xmlattr urlize truncate unique sort".split()
)
_GROWING = frozenset(("join", "sum", "replace", "format", "indent", "wordwrap", "tojson"))
_CONSUMING = frozenset(("join", "list", "sum", "sort", "unique", "batch", "slice", "tojson", "string"))


class TemplateLimitError(TemplateError):
    """A template does more than any chat template needs."""


class _Used(threading.local):
    """What the rendering in this thread has used so far."""

    ticks = 0
    made = 0
    until_s = math.inf


class _GenerationTag(Extension):
    """The tag ``{% generation %}``, which marks the assistant's words for training: its body is rendered."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Bounding(NodeTransformer):
    """Sends loops, concatenations and literal text through the environment's checks."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - Jinja's naming
        self.generic_visit(node)
        node.iter = _filtered(cast("nodes.Expr", node.iter), _STEPS)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _JOINED)

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Const:  # noqa: N802
        return nodes.Const(node.data, lineno=node.lineno)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox with limits. ``begin`` starts the limits of one rendering in this thread."""

    intercepted_binops = frozenset(("**", "*", "+", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # constants are computed within the limits too
            extensions=["jinja2.ext.loopcontrols", _GenerationTag],
        )
        self._used = _Used()
        self.finalize = self._finalized()
        self.filters = {name: self._checked(name, one) for name, one in self.filters.items()}
        self.filters |= {_STEPS: self._steps, _JOINED: self._joined}
        del self.globals["lipsum"]

    def begin(self) -> None:
        """Start the limits of one rendering in this thread."""
        self._used.ticks = self._used.made = 0
        self._used.until_s = time.thread_time() + CPU_S

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Add a filter within the limits."""
        self.filters[name] = self._checked(name, function)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, N805
        """Call a function or method of a template."""
        _check_numbers((*args, *kwargs.values()))
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str | bytes):
            args = _check_growth(getattr(__obj, "__name__", ""), owner, args)
        return __self._made(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        """Compute one of the operators that can grow a value."""
        if operator == "**":
            _require(_bits(left) * _number(right) <= _MAX_BITS, "it computes a huge power")
        elif operator == "*":
            for value, times in ((left, right), (right, left)):
                if isinstance(value, str | bytes | list | tuple):
                    _check_length(len(value) * _number(times))
            _require(_bits(left) + _bits(right) <= _MAX_BITS, "it computes a huge number")
        elif (
            operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple)
        ):
            _check_length(len(left) + len(right))
        elif operator == "%" and isinstance(left, str):
            _check_format(left, "%", (right,))
        return self._made(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:  # noqa: ANN401
        """Return the sandboxed form of ``str.format`` within the limits; None for another value."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        text = str(value.__self__)

        @wraps(wrapped)
        def checked(*args: Any, **kwargs: Any) -> str:  # noqa: ANN401
            _check_format(text, "{", (*args, *kwargs.values()))
            return cast("str", self._made(wrapped(*args, **kwargs)))

        return checked

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = _Bounding().visit(super()._parse(source, name, filename))
        return cast("nodes.Template", tree.set_environment(self))

    def _finalized(self) -> Callable[..., Any]:
        @pass_context  # or Jinja would apply it to constants while it compiles
        def finalize(_context: Context, value: Any) -> Any:  # noqa: ANN401
            if not isinstance(value, str):  # whose length is all of its weight
                _check_weight(value)
            return self._made(value)

        return finalize

    def _checked(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        num_passed = 0 if getattr(function, "jinja_pass_arg", None) is None else 1
        consumes, writes, grows = name in _CONSUMING, name in _STRINGIFYING, name in _GROWING

        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            passed, given = args[:num_passed], args[num_passed:]
            if consumes:
                given = _listed(given)
            _check_numbers((*given, *kwargs.values()))
            if writes:
                _check_weight(given)
            if grows:
                _check_filter(name, given, kwargs)
            return self._made(function(*passed, *given, **kwargs))

        return checked

    def _steps(self, iterable: Iterable[Any]) -> Iterator[Any]:
        used = self._used
        for one in iterable:
            used.ticks += 1
            if used.ticks % _TICKS_PER_LOOK == 0:
                self._look_at_the_clock()
            yield one

    def _joined(self, values: list[Any]) -> str:
        _check_weight(values)
        texts = [str(value) for value in values]
        _check_length(sum(map(len, texts)))
        return cast("str", self._made("".join(texts)))

    def _look_at_the_clock(self) -> None:
        if time.thread_time() > self._used.until_s:
            raise TemplateLimitError(f"it takes more than {CPU_S:g} s")

    def _made(self, value: Any) -> Any:  # noqa: ANN401
        """Count a value that a template's code has made, and return it."""
        used = self._used
        used.ticks += 1
        if used.ticks % _TICKS_PER_LOOK == 0:
            self._look_at_the_clock()
        if isinstance(value, str | bytes | list | tuple):
            used.made += len(value)
            if len(value) > MAX_VALUE_CHARS:
                raise TemplateLimitError(_HUGE)
            if used.made > MAX_MADE_CHARS:
                raise TemplateLimitError("it makes too much text")
        return value


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _listed(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a filter's arguments, with a list in place of an iterator that the filter would use up."""
    if not given or not isinstance(given[0], Iterator):
        return given
    return (list(islice(given[0], _MAX_ITEMS + 1)), *given[1:])


def _check_filter(name: str, given: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise TemplateLimitError if a filter would make a huge value."""
    value, options = given[0] if given else "", (*given[1:], *kwargs.values())
    if name == "join":
        separator = max((len(one) for one in options if isinstance(one, str)), default=0)
        _check_length(sum(len(str(one)) + separator for one in value))
    elif name == "sum":
        _require(not any(isinstance(one, str | list | tuple) for one in value), "it adds up lists")
    elif name == "replace":
        _check_growth("replace", str(value), options)
    elif name == "format":
        _check_format(str(value), "%", options)
    elif name in ("indent", "wordwrap"):
        _check_length(len(str(value)) * (1 + max(map(_extent, options), default=4)))
    elif name == "tojson":
        indent = max((_number(one) for one in options), default=0)
        _require(indent <= _MAX_INDENT, f"it indents by more than {_MAX_INDENT}")


def _check_growth(name: str, owner: str | bytes, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Raise TemplateLimitError if a method of a text would make a huge one; return its arguments."""
    if name == "replace" and len(args) >= 2 and isinstance(args[0], str) and isinstance(args[1], str):
        times = str(owner).count(args[0]) if isinstance(owner, str) else len(owner) + 1
        _check_length(len(owner) + times * len(args[1]))
    elif name == "join" and args:
        items = list(islice(args[0], _MAX_ITEMS + 1))
        _check_length(sum(_extent(one) + len(owner) for one in items))
        return (items, *args[1:])
    elif name == "translate" and args and isinstance(args[0], dict):
        _check_length(len(owner) * max((_extent(one) for one in args[0].values()), default=1))
    elif name == "expandtabs":
        _check_length(len(owner) * max((_number(one) for one in args), default=8))
    elif name in ("format", "format_map"):
        _check_format(str(owner), "{", args)
    return args


def _check_format(text: str, mark: str, values: tuple[Any, ...]) -> None:
    _require(_WIDE.search(text) is None, "it formats with a huge width")
    parts = [one for value in values for one in _parts_of(value)]
    _check_weight(parts)
    if "*" in text or mark == "{":  # a width may be among the values
        _check_numbers(parts)
    _check_length(len(text) + text.count(mark) * max(map(_extent, parts), default=0))


def _parts_of(value: Any) -> Iterable[Any]:  # noqa: ANN401
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, tuple) else (value,)


def _check_numbers(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, int | float) and not abs(value) <= _MAX_NUMBER:  # nan is not, either
            raise TemplateLimitError(f"it passes a number above {_MAX_NUMBER}")


def _check_weight(value: Any) -> None:  # noqa: ANN401
    """Raise TemplateLimitError for more values, counted through nested lists, than a text could hold."""
    if isinstance(value, str):
        _check_length(len(value))
        return
    num_seen, chars, waiting = 0, 0, [value]
    while waiting:
        one = waiting.pop()
        num_seen += 1
        if isinstance(one, str | bytes):
            chars += len(one)
        elif isinstance(one, list | tuple):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
        if num_seen + len(waiting) > _MAX_ITEMS or chars > MAX_VALUE_CHARS:
            raise TemplateLimitError(_HUGE)


def _check_length(length: int) -> None:
    if length > MAX_VALUE_CHARS:
        raise TemplateLimitError(_HUGE)


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise TemplateLimitError(why)


def _extent(value: Any) -> int:  # noqa: ANN401
    """Return about how many characters a value may add to a text."""
    if isinstance(value, str | bytes | list | tuple | dict):
        return len(value)
    return max(20, min(_number(value), _MAX_NUMBER + 1))


def _number(value: Any) -> int:  # noqa: ANN401
    return abs(value) if isinstance(value, int) else 0


def _bits(value: Any) -> int:  # noqa: ANN401
    return value.bit_length() if isinstance(value, int) else 0
