"""Outlines over OpenAI's client."""

import outlines
from feature_report import QUESTION, Given, Report, Seen, tell
from openai import OpenAI
from outlines.inputs import Image
from PIL import Image as PillowImage


def program(given: Given, report: Report) -> None:
    client = OpenAI(base_url=given.openai_url, api_key=given.key, max_retries=0)
    model = outlines.from_openai(client, given.model)
    asked = [QUESTION, Image(PillowImage.open(given.picture))]
    with report.feature("picture") as said:
        whole = model(asked)
        said(whole)
    with report.feature("stream") as said:
        pieces = list(model.stream(asked))
        said("".join(pieces))
        assert "".join(pieces) == whole
    with report.feature("structured output") as said:
        said(Seen.model_validate_json(model(asked, Seen)))


tell(program)
