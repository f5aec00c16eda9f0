"""Schemas tried in a child process of the real kind: what ends it, and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from smallsight.engine.decoding.json_constraint import JsonGrammar
from smallsight.engine.decoding.schema_trial import SchemaTrial, plain_schema, refusal
from smallsight.errors import ArgumentError, InvalidTextError
from tiny_smolvlm import make_tokenizer

# Harmless, but it takes some forty milliseconds.
LARGE = json.dumps({"type": "object", "properties": {str(i): {"type": "string"} for i in range(400)}})
SMALL = '{"type": "boolean"}'


@pytest.fixture(scope="module")
def usual() -> Iterator[SchemaTrial]:
    trial = SchemaTrial()
    yield trial
    trial.close()


def test_a_schema_over_its_time_ends_the_child_and_the_next_is_tried_in_another():
    trial = SchemaTrial(cpu_ms=5)
    with pytest.raises(ArgumentError, match=r"^The JSON schema is too complex\. hint: simplify it\.$"):
        trial.require_usable(LARGE)
    trial.require_usable(SMALL)
    trial.close()


def test_verdicts_are_remembered_refusals_too(usual: SchemaTrial):
    before = usual.num_tried
    for _ in range(3):
        usual.require_usable(LARGE)
        with pytest.raises(ArgumentError, match="Unimplemented keys"):
            usual.require_usable('{"not": {}}')
    assert usual.num_tried == before + 2


def test_old_verdicts_are_forgotten(usual: SchemaTrial):
    for number in range(300):
        usual.require_usable(json.dumps({"const": number}))
    before = usual.num_tried
    usual.require_usable('{"const": 299}')
    assert usual.num_tried == before
    usual.require_usable('{"const": 0}')
    assert usual.num_tried == before + 1


def test_the_librarys_own_options_are_left_out():
    given = '{"x-guidance": {"lenient": true, "whitespace_flexible": true}, "not": {}}'
    assert json.loads(plain_schema(given)) == {"not": {}}
    named_so = '{"properties": {"x-guidance": {"type": "string"}}, "additionalProperties": true}'
    assert plain_schema(named_so) == named_so


def test_all_choices_share_what_was_compiled():
    tokenizer = make_tokenizer()
    grammar = JsonGrammar(tokenizer, [tokenizer.token_to_id("<end_of_utterance>")])
    first, second = grammar.constrain(SMALL), grammar.constrain(SMALL)
    assert grammar.num_compiled == 1
    first.accept(tokenizer.token_to_id("t"))
    second.accept(tokenizer.token_to_id("f"))  # each goes its own way
    with pytest.raises(ArgumentError, match=r"Unimplemented keys"):
        grammar.constrain('{"x-guidance": {"lenient": true}, "not": {}}')


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ('Unimplemented keys: ["not"]\n<state>secret', 'Unimplemented keys: ["not"]'),
        ("Unsatisfiable schema: a\x1b[31mb", "Unsatisfiable schema: a [31mb"),
        ("Resource 'x' is not present", "refers to another document"),
        ("NoExtensionBias", "allows no answer"),
        ("schema too large", "is too complex"),
        ("initial lexer configuration (grammar) too big (limit for this grammar: 200000)", "is too complex"),
        ("panic: called `Option::unwrap()` on a `None` value at src/x.rs:12", "is too complex"),
        ("anything else", "is too complex"),
    ],
    ids=range(8),
)
def test_only_words_that_help_are_passed_on(why: str, told: str):
    message = str(refusal(why))
    assert told in message
    assert "secret" not in message
    assert "src/" not in message


@pytest.mark.parametrize("schema", ["\ud83d", '{"const": "\ud83d"}'])
def test_half_a_character_is_refused(schema: str):
    with pytest.raises(InvalidTextError):
        plain_schema(schema)


def test_half_a_character_written_as_an_escape_is_refused(usual: SchemaTrial):
    with pytest.raises(InvalidTextError, match="The JSON schema"):
        usual.require_usable(plain_schema('{"const": "\\ude00"}'))
