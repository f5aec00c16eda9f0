"""Florence-2's tasks, their sentences, and the mapping from free text to a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smallsight.errors import ArgumentError

Form = Literal["text", "boxes", "quads", "phrases", "polygons", "boxes or polygons", "regions"]


@dataclass(frozen=True, slots=True)
class TaskPrompt:
    """A task token, the sentence it stands for, with {input} if it takes one, and its answer's form."""

    token: str
    sentence: str
    form: Form

    @property
    def takes_input(self) -> bool:
        """Whether text must follow the token."""
        return "{input}" in self.sentence


_ROWS: tuple[tuple[str, str, Form], ...] = (
    ("<OCR>", "What is the text in the image?", "text"),
    ("<OCR_WITH_REGION>", "What is the text in the image, with regions?", "quads"),
    ("<CAPTION>", "What does the image describe?", "text"),
    ("<DETAILED_CAPTION>", "Describe in detail what is shown in the image.", "text"),
    ("<MORE_DETAILED_CAPTION>", "Describe with a paragraph what is shown in the image.", "text"),
    ("<OD>", "Locate the objects with category name in the image.", "boxes"),
    ("<DENSE_REGION_CAPTION>", "Locate the objects in the image, with their descriptions.", "boxes"),
    ("<REGION_PROPOSAL>", "Locate the region proposals in the image.", "regions"),
    ("<CAPTION_TO_PHRASE_GROUNDING>", "Locate the phrases in the caption: {input}", "phrases"),
    ("<REFERRING_EXPRESSION_SEGMENTATION>", "Locate {input} in the image with mask", "polygons"),
    ("<REGION_TO_SEGMENTATION>", "What is the polygon mask of region {input}", "polygons"),
    ("<OPEN_VOCABULARY_DETECTION>", "Locate {input} in the image.", "boxes or polygons"),
    ("<REGION_TO_CATEGORY>", "What is the region {input}?", "text"),
    ("<REGION_TO_DESCRIPTION>", "What does the region {input} describe?", "text"),
    ("<REGION_TO_OCR>", "What text is in the region {input}?", "text"),
)
TASKS: Mapping[str, TaskPrompt] = {
    token: TaskPrompt(token, sentence, form) for token, sentence, form in _ROWS
}
DESCRIBE = "<DETAILED_CAPTION>"
READING_TASKS = frozenset(("<OCR>", "<OCR_WITH_REGION>", "<REGION_TO_OCR>"))
# Free text to task: the first matching pattern decides; without a match it is a caption.
_HINTS = (
    (r"\b(read|text|written|says?|words?|ocr|transcribe)\b", "<OCR>"),
    (r"\b(detect|objects?|list|count|how many)\b", "<OD>"),
    (r"\b(regions?|areas?)\b", "<DENSE_REGION_CAPTION>"),
    (r"\b(paragraph|thorough|everything|more detail)", "<MORE_DETAILED_CAPTION>"),
    (r"\b(brief|short|one sentence|caption)", "<CAPTION>"),
)
_LOCATE = re.compile(
    r"^\s*(?:where is|where are|find|locate|point (?:at|to))\s+(?:the |an? )?(?P<what>.+?)[?.!\s]*$",
    re.IGNORECASE,
)


def find_task(prompt: str) -> tuple[TaskPrompt, str]:
    """Return a prompt's task and the sentence for the network.

    A task token in the prompt selects that task; free text selects the closest one, since Florence-2 was not
    trained to chat. Raises ArgumentError for a token with unexpected text, or without the text it needs.
    """
    for task in TASKS.values():
        if task.token in prompt:
            given = prompt.replace(task.token, "").strip()
            if not task.takes_input and prompt.strip() != task.token:
                raise ArgumentError(f"{task.token} takes no other text.", hint="use the token alone.")
            if task.takes_input and not given:
                raise ArgumentError(f"{task.token} needs an input.", hint="write it after the token.")
            return task, task.sentence.replace("{input}", given)
    if (located := _LOCATE.match(prompt)) is not None:
        task = TASKS["<OPEN_VOCABULARY_DETECTION>"]
        return task, task.sentence.replace("{input}", located["what"])
    lowered = prompt.lower()
    token = next((token for pattern, token in _HINTS if re.search(pattern, lowered)), DESCRIBE)
    return TASKS[token], TASKS[token].sentence
