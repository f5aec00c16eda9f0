"""The model of the package, loaded by transformers from the same folder: the same words in fp32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, Idefics3ForConditionalGeneration

import smallsight
from smallsight.settings import Settings

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
PICTURES = [
    *sorted((ROOT / "examples" / "stickers").glob("*.png")),
    ROOT / "examples/pictures/photos/red-car.jpg",
]
MAX_TOKENS = 40
QUESTIONS = ("Can you describe this image?", "What does the text say?")


@pytest.fixture(scope="module")
def reference():
    network = Idefics3ForConditionalGeneration.from_pretrained(SHIPPED, dtype=torch.float32)
    return AutoProcessor.from_pretrained(SHIPPED), network.eval()


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with smallsight.load("Smallsight-tiny", precision="fp32", settings=settings) as model:
        yield model


@pytest.mark.parametrize("question", ["What colour is it?", "What\u2019s in this image?", "", "a <image> b"])
def test_the_prompt_is_that_of_transformers_wherever_the_picture_comes(reference, ours, question):
    """Except that words which look like a control token are words."""
    processor, _ = reference
    image = Image.open(PICTURES[0]).convert("RGB")
    parts = [{"type": "text", "text": question}, {"type": "image"}]
    if "<image>" not in question:
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True
        )
        inputs = processor(text=prompt, images=[image], return_tensors="pt")
    counts = set()
    for content in (parts, parts[::-1]):
        shown = [part | ({"image": image} if part["type"] == "image" else {}) for part in content]
        turns = [{"role": "user", "content": shown}]
        counts.add(ours.ask([], turns, max_tokens=1, detail="high").usage.prompt_tokens)
    assert len(counts) == 1
    if "<image>" not in question:
        assert counts == {inputs["input_ids"].shape[1]}


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_it_says_what_transformers_says(reference, ours, path, question):
    processor, network = reference
    image = Image.open(path).convert("RGB")
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=prompt, images=[image], return_tensors="pt")
    answer = ours.ask(image, question, max_tokens=MAX_TOKENS, detail="high")
    assert answer.usage.prompt_tokens == inputs["input_ids"].shape[1]
    said = list(answer.token_ids)
    assert said[-1] == processor.tokenizer.eos_token_id or len(said) == MAX_TOKENS
    # No token sees those after it: if each is the likeliest after the ones before, they are the greedy ones.
    asked = {name: value for name, value in inputs.items() if name.startswith("pixel_")}
    asked["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([said[:-1]])], dim=1)
    with torch.inference_mode():
        logits = network(**asked, logits_to_keep=len(said)).logits
    assert said == logits[0].argmax(-1).tolist()
    assert answer.text.strip() == processor.decode(said, skip_special_tokens=True).strip()
