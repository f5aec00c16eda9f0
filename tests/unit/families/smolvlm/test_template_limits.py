"""A chat template that would take all time or memory is stopped where it is rendered, whatever it does."""

from __future__ import annotations

import threading
import time

import pytest

from smallsight.errors import ArgumentError, BrokenCheckpointError
from smallsight.families.smolvlm.chat_template import ChatTemplate

MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
DOUBLING = (
    "{% set n = namespace(x='aaaaaaaaaa') %}"
    "{% for i in range(60) %}{% set n.x = VALUE %}{% endfor %}{{ n.x }}"
)
MILLION = "{% set a = 'a' * 1000000 %}"


def rendered(tmp_path, template: str) -> str:
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    return ChatTemplate.load(tmp_path).render(MESSAGES)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "more than 2 s"),
        (
            "{% for a in range(99999) %}{% for b in range(99999) if b < 0 %}{% endfor %}{% endfor %}",
            "more than 2 s",
        ),
        (
            "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
            "more than 2 s",
        ),
        ("{{ 2 ** 99999 }}", "a huge power"),
        ("{{ (2 ** 2040) * (2 ** 2040) * (2 ** 2040) }}", "a huge number"),
        ("{{ 'a' * 10 ** 10 }}", "a huge value"),
        ("{{ ([0] * 10 ** 9) | length }}", "a huge value"),
        (DOUBLING.replace("VALUE", "n.x + n.x"), "a huge value"),
        (DOUBLING.replace("VALUE", "n.x ~ n.x"), "a huge value"),
        (DOUBLING.replace("VALUE", "'%s%s' % (n.x, n.x)"), "a huge value"),
        (DOUBLING.replace("VALUE", "'{0}{0}'.format(n.x)"), "a huge value"),
        (DOUBLING.replace("VALUE", "[n.x, n.x] | join"), "a huge value"),
        (DOUBLING.replace("VALUE", "''.join([n.x, n.x])"), "a huge value"),
        (DOUBLING.replace("VALUE", "[n.x, n.x]"), "a huge value"),
        (
            DOUBLING.replace(
                "{% set n.x = VALUE %}", "{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}"
            ),
            "a huge",
        ),
        (MILLION + "{{ a | replace('a', a) }}", "a huge value"),
        (MILLION + "{{ a.replace('a', a) }}", "a huge value"),
        (MILLION + "{{ a.replace('', a) }}", "a huge value"),
        (MILLION + "{{ a.translate({97: a}) }}", "a huge value"),
        (MILLION + "{{ range(90000) | map('string') | join(a) }}", "a huge value"),
        (MILLION + "{% for i in range(99) %}{% set b = a ~ i %}{% endfor %}", "too much text"),
        ("{{ ('a\n' * 1000000) | indent(1000000) }}", "a huge value"),
        ("{{ ('\t' * 100000).expandtabs(100000) }}", "a huge value"),
        ("{{ 'a' | center(10 ** 9) }}", "a number above"),
        ("{{ 'a'.zfill(10 ** 9) }}", "a number above"),
        ("{{ range(9) | slice(10 ** 9) | list }}", "a number above"),
        ("{{ '%*d' % (10 ** 9, 1) }}", "a number above"),
        ("{{ '{:{}}'.format(1, 10 ** 9) }}", "a number above"),
        ("{{ '%0999999999d' % 1 }}", "a huge width"),
        ("{{ '{:0999999999}'.format(1) }}", "a huge width"),
        ("{{ '%0999999999d' | format(1) }}", "a huge width"),
        ("{{ [[1]] | tojson(indent=1000000) }}", "indents by more"),
        ("{{ ([[1] * 99] * 99999) | sum(start=[]) }}", "adds up lists"),
        ("{{ strftime_now('%c' * 1000) }}", "a huge pattern"),
        ("{% for i in range(90000) %}{{ 'all work and no play' * 9 }}{% endfor %}", "a text without end"),
        ("a" * 200_001, "it has 200001 characters"),
        ("{{ '\\ud800' }}", "not Unicode"),
        ("{{ " + "9" * 5000 + " }}", "Exceeds the limit"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "RecursionError"),
        ("{% if 1 %}" * 300 + "{% endif %}" * 300, "Error: "),  # torch.compile raises the limit of recursion
        ("{% for a in [1] %}" * 40 + "{% endfor %}" * 40, "too many statically nested blocks"),
    ],
)
def test_what_no_template_needs_is_damage_in_one_line(tmp_path, template, why):
    began_s = time.thread_time()
    with pytest.raises(BrokenCheckpointError, match="has a damaged chat template: ") as refused:
        rendered(tmp_path, template)
    assert why in refused.value.message
    assert "\n" not in str(refused.value)
    assert time.thread_time() - began_s < 6


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "{% for a in 'abc' %}{{ loop.index }}/{{ loop.length }}{{ loop.last }} {% endfor %}",
            "1/3False 2/3False 3/3True ",
        ),
        ("{% for a in [1, 2, 3] if a != 2 %}{{ a }}{% else %}none{% endfor %}", "13"),
        ("{% for a in [] %}{{ a }}{% else %}none{% endfor %}", "none"),
        ("{% for a in [1, [2, [3]]] recursive %}{{ loop(a) if a is sequence else a }}{% endfor %}", "123"),
        ("{% for k, v in {'b': 1}.items() %}{{ k ~ v ~ none }}{% endfor %}", "b1None"),
        (
            "{{ 'a%03d' % 7 }}{{ '{:>4}|{x}'.format('b', x=1) }}{{ 'x' * 3 }}{{ 2 ** 10 }}",
            "a007   b|1xxx1024",
        ),
        ("{{ 'a-b'.replace('-', '+') }}{{ ['a', 1] | join(', ') }}{{ 'x\ny' | indent(2) }}", "a+ba, 1x\n  y"),
        ("{{ [1, 2] | sum }}{{ [3, 1] | sort | list }}{{ range(5) | batch(2) | list | length }}", "3[1, 3]3"),
        ("{% set x %}a{{ 1 }}{% endset %}{{ x }}{% macro f(n) %}<{{ n }}>{% endmacro %}{{ f(2) }}", "a1<2>"),
        (
            "{{ messages[0].content | selectattr('type', 'eq', 'text') | map(attribute='text') | first }}",
            "What is this?",
        ),
        ("{{- 'a' }}  \n{%- if true %} b{% endif %}", "a b"),
    ],
)
def test_what_templates_do_stays_as_in_jinja(tmp_path, template, text):
    assert rendered(tmp_path, template) == text


def test_a_refusal_over_several_lines_is_one_line(tmp_path):
    with pytest.raises(ArgumentError, match="does not accept this conversation") as refused:
        rendered(tmp_path, "{{ raise_exception('one\\ntwo\\x1b[31m') }}")
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_renderings_in_several_threads_have_limits_of_their_own(tmp_path):
    (tmp_path / "chat_template.jinja").write_text("{{ ('a' * 3000000) | length }}" * 9)
    template, texts = ChatTemplate.load(tmp_path), []
    threads = [threading.Thread(target=lambda: texts.append(template.render(MESSAGES))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts.append(template.render(MESSAGES))
    assert texts == ["3000000" * 9] * 4


def test_a_long_conversation_is_within_the_limits(tmp_path):
    """As long as the server's largest text."""
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role | capitalize }}: {% for c in m.content %}"
        "{{ c.text | trim if c.type == 'text' else '<image>' }}{% endfor %}<end>\n{% endfor %}"
    )
    many = [
        {"role": role, "content": [{"type": "text", "text": "word " * 200}]}
        for _ in range(1000)
        for role in ("user", "assistant")
    ]
    assert len(ChatTemplate.load(tmp_path).render(many)) > 1_900_000
