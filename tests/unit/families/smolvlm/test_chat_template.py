"""Chat templates as other tools write them; what transformers 5.24 renders is written beside each."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from smallsight.errors import ArgumentError, BrokenCheckpointError
from smallsight.families.smolvlm.chat_template import ChatTemplate

MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "é"}]}]


def rendered(tmp_path, template: str, **tokenizer: object) -> str:
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return ChatTemplate.load(tmp_path).render(MESSAGES)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("a{% generation %}b{{ messages[0].role }}{% endgeneration %}c", "abuserc"),
        ("{%- generation -%} b {%- endgeneration -%}", "b"),
        ("{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}", "<s>|</s>||<pad>"),
        ("{{ messages[0].content[0].text | tojson }}", '"é"'),
        ("{{ messages[0].content[0].text | tojson(ensure_ascii=true) }}", '"\\u00e9"'),
        ("{{ {'b': 1, 'a': [1, 2]} | tojson(sort_keys=true) }}", '{"a": [1, 2], "b": 1}'),
        ("{{ {'b': 1} | tojson(separators=(',', ':')) }}", '{"b":1}'),
        ("{{ [1] | tojson(indent=1) }}", "[\n 1\n]"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
    ],
)
def test_what_transformers_offers_is_there(tmp_path, template, text):
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "pad_token": "<pad>"}
    assert rendered(tmp_path, template, **tokens) == text


def test_special_tokens_may_lie_in_a_file_of_their_own(tmp_path):
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"bos_token": {"content": "<begin>"}}))
    assert rendered(tmp_path, "{{ bos_token }}") == "<begin>"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 + 'a' }}",
        "{{ messages[7].role }}",
        "{{ messages.nothing.deeper }}",
        "{{ (1, 2) | tojson(nonsense=1) }}",
    ],
)
def test_whatever_a_template_raises_is_one_sentence(tmp_path, template):
    with pytest.raises(BrokenCheckpointError, match=r"chat_template\.jinja failed on this conversation"):
        rendered(tmp_path, template)


def test_a_template_that_refuses_a_conversation_says_why(tmp_path):
    with pytest.raises(ArgumentError, match="does not accept this conversation: one at a time"):
        rendered(tmp_path, "{{ raise_exception('one at a time') }}")


def test_a_template_without_end_is_stopped(tmp_path):
    with pytest.raises(BrokenCheckpointError, match="damaged chat template: it makes a text without end"):
        rendered(tmp_path, "{% for i in range(90000) %}{{ 'all work and no play' * 9 }}{% endfor %}")


@pytest.mark.parametrize("template", ["{% generation %}", "{% if %}", "{{ a b }}"])
def test_a_template_that_does_not_compile_is_one_sentence(tmp_path, template):
    with pytest.raises(BrokenCheckpointError, match="damaged chat template"):
        rendered(tmp_path, template)


@pytest.mark.parametrize(
    ("template", "opening"),
    [
        ("{% for m in messages %}{{ m.role }}: {{ m.content[0].text }}\n{% endfor %}assistant:", " "),
        ("{% for m in messages %}{{ m.role }}\n{{ m.content[0].text }}\n{% endfor %}{{ 'assistant\n' }}", ""),
        ("{% for m in messages %}<{{ m.content[0].text }}>{% endfor %}", ""),  # a mark is no white space
        ("{% if messages | length > 1 %}{{ raise_exception('one') }}{% endif %}", ""),
        ("{{ messages | length }}", ""),
    ],
)
def test_an_answer_opens_with_the_space_that_the_template_writes(tmp_path, template, opening):
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    assert ChatTemplate.load(tmp_path).answer_opening == opening


def test_the_default_of_several_templates_is_taken(tmp_path):
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "default"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": several}))
    assert ChatTemplate.load(tmp_path).render(MESSAGES) == "default"


def test_of_two_templates_the_newer_file_counts_and_the_difference_is_logged(tmp_path):
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "old"}))
    with capture_logs() as logs:
        assert rendered(tmp_path, "new") == "new"
    assert [log["event"] for log in logs] == ["chat_templates_differ"]
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "new\n"}))
    with capture_logs() as logs:
        assert rendered(tmp_path, "new") == "new"
    assert logs == []
