"""Daft's prompt function, with its provider for OpenAI's protocol."""

import daft
from daft.ai.openai.provider import OpenAIProvider
from daft.functions import decode_image, prompt
from feature_report import QUESTION, Given, Report, Seen, tell


def program(given: Given, report: Report) -> None:
    provider = OpenAIProvider("smallsight", base_url=given.openai_url, api_key=given.key)
    pictures = daft.from_pydict({"bytes": [given.picture.read_bytes()] * 2})
    pictures = pictures.with_column("picture", decode_image(daft.col("bytes"), mode="RGB"))

    def answers(**arguments: object) -> list:
        asked = prompt(
            [daft.lit(QUESTION), daft.col("picture")],
            provider=provider,
            model=given.model,
            use_chat_completions=True,
            **arguments,
        )
        return pictures.select(asked.alias("answer")).to_pydict()["answer"]

    with report.feature("picture") as said:
        whole = answers()
        assert len(whole) == 2
        assert whole[0] == whole[1]
        said(whole[0])
    with report.feature("structured output") as said:
        said(Seen.model_validate(answers(return_format=Seen)[0]))


tell(program)
