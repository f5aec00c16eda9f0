"""Tiny SmolVLM checkpoints that answer everything with one text, behind chat templates that know tools.

The templates are written in the style of those of real checkpoints: Qwen and Hermes, and Llama.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.numpy import load_file, save_file

from smallsight.families.messages import Message, TextPart
from smallsight.families.smolvlm.processor import END_OF_TURN, SmolVLMProcessor
from tiny_smolvlm import SHAPES, make_checkpoint

_CONTENT = (
    "{%- macro words(content) %}{% for part in content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% elif part.type == 'image' %}<image>{% endif %}{% endfor %}{% endmacro %}"
)
QWEN_TEMPLATE = (
    _CONTENT
    + """{%- if tools %}<|im_start|>system
# Tools

You may call one or more functions. Their signatures are within <tools></tools> tags:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>

For each call, return a JSON object with name and arguments within <tool_call></tool_call> tags.<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>
{%- if message.role == "tool" %}user
<tool_response>
{{ words(message.content) }}
</tool_response>
{%- else %}{{ message.role }}
{{ words(message.content) }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}
{%- endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
)
LLAMA_TEMPLATE = (
    _CONTENT
    + """{%- if tools is not defined %}{% set tools = none %}{% endif %}<|im_start|>
{%- for message in messages %}
{%- if loop.first and tools is not none %}system:
Given these functions, write a call as {"name": function name, "parameters": its arguments}.
{% for tool in tools %}{{ tool | tojson(indent=1) }}
{% endfor %}<|im_end|>
{% endif %}
{%- if message.role == "tool" %}ipython:
{"output": {{ words(message.content) | tojson }}}
{%- elif message.tool_calls %}assistant:
{%- for call in message.tool_calls %}
{"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson }}}
{%- endfor %}
{%- else %}{{ message.role }}:
{{ words(message.content) }}
{%- endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}assistant:
{% endif %}"""
)


def make_writing_checkpoint(directory: Path, template: str, words: Sequence[str]) -> Path:
    """Write a checkpoint that answers with these words, which all differ and are one token each.

    Its layers add nothing, so that the next token depends on the last one alone.
    """
    make_checkpoint(directory, SHAPES[0], words=words)
    (directory / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    processor = SmolVLMProcessor.load(directory)
    last = processor.prepare([Message("user", (TextPart("Hello"),))]).token_ids[-1]
    tokens = [processor.tokenizer.token_to_id(word) for word in (*words, END_OF_TURN)]
    tensors = load_file(directory / "model.safetensors")
    (embedding,) = (tensor for name, tensor in tensors.items() if name.endswith("embed_tokens.weight"))
    for name, tensor in tensors.items():
        if name.endswith(("text_model.norm.weight",)):
            tensor[:] = 1
        elif "text_model.layers" in name and name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor[:] = 0
    head = tensors["lm_head.weight"]
    head[:] = 0
    for now, then in itertools.pairwise([last, *tokens]):
        head[then] = 10 * embedding[now]
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    return directory
