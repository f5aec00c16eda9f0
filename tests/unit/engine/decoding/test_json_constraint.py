"""Answers that are held to a schema: whatever the model would rather say, the result parses and fits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallsight.engine.decoding.json_constraint import JsonGrammar
from smallsight.engine.decoding.sampler import Sampler
from smallsight.engine.decoding.schema_dialect import PATTERN
from smallsight.engine.decoding.schema_trial import MAX_SCHEMA_CHARS
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError
from tiny_smolvlm import make_tokenizer

TOKENIZER = make_tokenizer()
END = TOKENIZER.token_to_id("<end_of_utterance>")
VOCABULARY = TOKENIZER.get_vocab_size() + 7  # padded, as checkpoints are
GRAMMAR = JsonGrammar(TOKENIZER, [END])
PICTURE = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["meme", "photo", "screenshot"]},
        "people": {"type": "integer", "minimum": 0, "maximum": 99},
        "text": {"type": "string", "maxLength": 12},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 2},
    },
    "required": ["kind", "people", "text", "tags"],
    "additionalProperties": False,
}


def answer(schema: object, seed: int, *, temperature: float = 1.0, most: int = 400) -> str:
    """Generate with logits that are nothing but noise."""
    random = np.random.default_rng(seed)
    options = SamplingOptions(temperature=temperature, seed=seed)
    sampler = Sampler(options, [], GRAMMAR.constrain(json.dumps(schema)))
    token_ids = []
    for _ in range(most):
        token = sampler.choose(random.normal(0, 5, VOCABULARY).astype(np.float32)).token_id
        if token == END:
            break
        token_ids.append(token)
    return TOKENIZER.decode(token_ids, skip_special_tokens=False)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.7, 2.0]))
def test_noise_becomes_what_the_schema_says(seed: int, temperature: float):
    data = json.loads(answer(PICTURE, seed, temperature=temperature))
    assert set(data) == set(PICTURE["required"])
    assert data["kind"] in ("meme", "photo", "screenshot")
    assert 0 <= data["people"] <= 99
    assert len(data["text"]) <= 12
    assert len(data["tags"]) <= 2


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        ({"const": {"a": [1, None]}}, lambda data: data == {"a": [1, None]}),
        ({"enum": ["ä", "🐈", 5]}, lambda data: data in ("ä", "🐈", 5)),
        ({"type": "boolean"}, lambda data: data in (True, False)),
        ({"type": "string", "pattern": "^[a-c]{3}$"}, lambda data: len(data) == 3),
        ({"anyOf": [{"type": "null"}, {"const": 1}]}, lambda data: data in (None, 1)),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"const": 7}}}, lambda data: data == 7),
    ],
    ids=range(6),
)
def test_kinds_of_schema(schema: object, check):
    assert all(check(json.loads(answer(schema, seed))) for seed in range(5))


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "{",
        "5",
        "[]",
        "true",
        "\0",
        '{"type": "objekt"}',
        '{"not": {}}',
        '{"$ref": "https://example.org/schema"}',
        '{"$ref": "file:///etc/passwd"}',
        '{"$ref": "#"}',
        '{"type": "string", "pattern": "(?=a)b"}',
        '{"type": "string", "minLength": 5, "maxLength": 2}',
        '{"items":' * 5000 + "{}" + "}" * 5000,
        '{"description": "' + "a" * MAX_SCHEMA_CHARS + '"}',
        json.dumps(
            {"allOf": [{"anyOf": [{"properties": {f"{i}{j}": {}}} for j in range(12)]} for i in range(8)]}
        ),
    ],
    ids=range(16),
)
def test_what_cannot_be_held_to_is_a_sentence(schema: str):
    with pytest.raises(ArgumentError, match="JSON schema"):
        GRAMMAR.constrain(schema)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "items",
                        "properties",
                        "enum",
                        "const",
                        "anyOf",
                        "allOf",
                        "pattern",
                        "required",
                        "x",
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_no_schema_is_more_than_a_sentence(schema: object):
    try:
        constraint = GRAMMAR.constrain(json.dumps(schema))
        constraint.allowed(np.zeros(VOCABULARY, np.float32))
    except ArgumentError:
        return


def test_a_token_that_may_not_come_is_an_error_not_a_wrong_answer():
    constraint = GRAMMAR.constrain('{"const": 1}')
    with pytest.raises(ArgumentError, match="cannot follow the JSON schema"):
        constraint.accept(TOKENIZER.token_to_id("a"))


def test_logits_are_left_as_they_are():
    logits = np.zeros(VOCABULARY, np.float32)
    GRAMMAR.constrain('{"const": 1}').allowed(logits)
    assert not logits.any()


def in_love_with(wanted: str, schema: object) -> str:
    """Generate with a model that prefers some characters to all others, earlier ones to later ones."""
    sampler = Sampler(SamplingOptions(temperature=0.0), [], GRAMMAR.constrain(json.dumps(schema)))
    logits = np.zeros(VOCABULARY, np.float32)
    for at, character in enumerate(wanted):
        logits[TOKENIZER.token_to_id(character)] = len(wanted) - at
    logits[END] = -1
    token_ids = []
    while len(token_ids) < 200 and (token := sampler.choose(logits).token_id) != END:
        token_ids.append(token)
    return TOKENIZER.decode(token_ids, skip_special_tokens=False)


@pytest.mark.parametrize(
    ("wanted", "schema", "written"),
    [
        ("9", {"type": "integer"}, "9" * 20),
        ("9.e", {"type": "number"}, f"{'9' * 20}.{'9' * 20}e{'9' * 20}"),
        ("1", {"type": "array", "items": {"type": "integer"}, "maxItems": 1}, f"[{'1' * 20}]"),
        ("7", {"type": "string", "maxLength": 40}, f'"{"7" * 40}"'),
        ("1", {"const": 10**29}, f"1{'0' * 29}"),
        ("3", {PATTERN: "[0-9]{30}"}, "3" * 30),
    ],
    ids=str,
)
def test_numbers_end_where_the_schema_does_not_need_more_digits(wanted: str, schema: object, written: str):
    assert in_love_with(wanted, schema) == written
