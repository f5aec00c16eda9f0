"""Prompts of Florence-2 and what it writes, against transformers' own reading of the same."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from smallsight.errors import ArgumentError
from smallsight.families.florence2.post_process import Rules, in_words, read_answer
from smallsight.families.florence2.tasks import DESCRIBE, TASKS, find_task

FORMS = {
    "quads": "ocr",
    "boxes": "description_with_bboxes",
    "regions": "bboxes",
    "phrases": "phrase_grounding",
    "polygons": "polygons",
    "boxes or polygons": "description_with_bboxes_or_polygons",
    "text": "pure_text",
}
SIZE = (641, 483)
QUAD = "<loc_9><loc_9><loc_99><loc_9><loc_99><loc_999><loc_9><loc_999>"
PIECES = [
    "cat",
    " a red car",
    "é bus",
    "it",
    "<poly>",
    "</poly>",
    "<sep>",
    "</s>",
    "<s>",
    "<pad>",
    "\n",
    "<od>",
    " ",
]


@pytest.fixture(scope="module")
def reference():
    from transformers.models.florence2.processing_florence2 import Florence2PostProcessor, Florence2Processor

    config = {form: {} for form in FORMS.values()}
    config["ocr"]["AREA_THRESHOLD"] = 0.01
    config["phrase_grounding"]["banned_grounding_tokens"] = ["it"]
    tokenizer = SimpleNamespace(all_special_tokens=[], image_token="<image>", image_token_id=9)
    processor = Florence2Processor.__new__(Florence2Processor)
    processor.post_processor = Florence2PostProcessor(config, tokenizer)
    processor.tasks_answer_post_processing_type = {task.token: FORMS[task.form] for task in TASKS.values()}
    return processor


def written(rng):
    pieces = []
    for _ in range(rng.randint(0, 12)):
        if rng.random() < 0.6:
            pieces += [
                f"<loc_{rng.randint(0, 999)}>" for _ in range(rng.choice((1, 2, 3, 4, 4, 4, 5, 8, 8, 9)))
            ]
        else:
            pieces.append(rng.choice(PIECES))
    return "".join(pieces)


@pytest.mark.parametrize("token", TASKS)
def test_what_is_written_is_read_as_the_reference_reads_it(token, reference):
    rng, rules = random.Random(token), Rules(frozenset(["it"]), 0.01)
    not_empty = 0
    for _ in range(400):
        text = written(rng)
        expected = reference.post_process_generation(text=text, task=token, image_size=SIZE)[token]
        found = read_answer(text, TASKS[token], SIZE, rules)
        assert found == expected, text
        not_empty += bool(found if isinstance(found, str) else any(found.values()))
    assert not_empty > 40


@pytest.mark.parametrize(
    ("phrase", "labels"),
    [
        ("un CAFÉ crème près d'une fenêtre", ["café crème", "une fenêtre", ""]),
        ("ein Hund", ["caf crme", "une fentre", ""]),
        ("猫 cafe\u0301 crème", ["café crème", "une fentre", "猫"]),
    ],
)
def test_labels_keep_the_accents_of_the_persons_own_words(phrase, labels):
    """The reference forces every label to ASCII; where the person wrote the words, that mutilates them."""
    box = "<loc_1><loc_2><loc_3><loc_4>"
    text = f"café crème{box}une fenêtre{box}猫{box}"
    found = read_answer(text, TASKS["<CAPTION_TO_PHRASE_GROUNDING>"], SIZE, phrase=phrase)
    assert found["labels"] == labels


@pytest.mark.parametrize(
    ("token", "written", "text"),
    [
        ("<OCR_WITH_REGION>", "STOP<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6>GO" + QUAD, "STOP GO"),
        ("<OCR_WITH_REGION>", "<loc_9>GO" + QUAD, "GO"),
        ("<OD>", "<loc_1><loc_2><loc_3>dog" + "<loc_7>" * 4 + "cat" + "<loc_8>" * 4, "dog, cat"),
        ("<REGION_TO_CATEGORY>", "car" + "<loc_7>" * 4, "car"),
        ("<OCR>", "<loc_1>two words<loc_2>", "two words"),
    ],
)
def test_no_location_is_shown_as_text(token, written, text, reference):
    """The reference leaves them in, so that people read them."""
    expected = reference.post_process_generation(text=written, task=token, image_size=SIZE)[token]
    found = read_answer(written, TASKS[token], SIZE)
    assert "loc_" in str(expected)
    shown, data = in_words(found, TASKS[token])
    assert shown == text
    assert "loc_" not in str(data)
    assert data is None or len(data["labels"]) == len(found["labels"])


def test_prompts_become_the_sentences_of_the_reference():
    from transformers.models.florence2.processing_florence2 import Florence2Processor

    tokenizer = SimpleNamespace(
        all_special_tokens=[], image_token="<image>", image_token_id=9, init_kwargs={}, chat_template=None
    )
    reference = Florence2Processor.__new__(Florence2Processor)
    try:
        Florence2Processor.__init__(reference, SimpleNamespace(image_seq_length=577), tokenizer)
    except TypeError:  # the base class checks types, after what is needed here has been set
        assert reference.task_prompts_with_input
    for task in TASKS.values():
        prompt = f"{task.token}a green car" if task.takes_input else task.token
        assert find_task(prompt) == (task, reference._construct_prompts(prompt)[0])  # noqa: SLF001 - the reference has no public way


@pytest.mark.parametrize(
    ("prompt", "token"),
    [
        ("Can you describe this image?", DESCRIBE),
        ("What does the sign say?", "<OCR>"),
        ("Where is the dog?", "<OPEN_VOCABULARY_DETECTION>"),
        ("How many objects are there?", "<OD>"),
        ("Write a paragraph about it.", "<MORE_DETAILED_CAPTION>"),
        ("A short caption, please", "<CAPTION>"),
        ("", DESCRIBE),
    ],
)
def test_free_text_becomes_the_nearest_task(prompt, token):
    assert find_task(prompt)[0].token == token


def test_what_is_located_is_named_in_the_sentence():
    assert find_task("Where is the red car?")[1] == "Locate red car in the image."


@pytest.mark.parametrize("prompt", ["<OD> cats", "please <CAPTION>", "<REGION_TO_OCR>"])
def test_a_token_used_in_another_way_is_refused(prompt):
    with pytest.raises(ArgumentError):
        find_task(prompt)
