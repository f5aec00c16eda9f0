"""Ollama's client for Python."""

from feature_report import EMBEDDER, NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from ollama import Client, ResponseError


def program(given: Given, report: Report) -> None:
    client = Client(host=given.url, headers={"Authorization": f"Bearer {given.key}"})
    first = {"role": "user", "content": QUESTION, "images": [given.picture]}
    asked = {"model": given.model, "messages": [first]}
    with report.feature("models") as said:
        said(", ".join(one.model for one in client.list().models))
        assert "vision" in client.show(given.model).capabilities
    with report.feature("picture") as said:
        whole = client.chat(**asked).message.content
        said(whole)
        written = client.generate(model=given.model, prompt=QUESTION, images=[given.picture])
        said(written.response)
    with report.feature("stream") as said:
        pieces = [one.message.content for one in client.chat(**asked, stream=True)]
        said("".join(pieces))
        assert len(pieces) > 1
        assert "".join(pieces).strip() == whole.strip()
    with report.feature("second turn") as said:
        answered = {"role": "assistant", "content": whole}
        turns = [first, answered, {"role": "user", "content": NEXT_QUESTION}]
        said(client.chat(model=given.model, messages=turns).message.content)
    with report.feature("structured output") as said:
        answer = client.chat(**asked, format=Seen.model_json_schema())
        said(Seen.model_validate_json(answer.message.content))
    with report.feature("offered tools") as said:

        def look_up(animal: str) -> str:
            """Return what is known about an animal."""
            return animal

        said(client.chat(**asked, tools=[look_up]).message.content)
    with report.feature("embeddings") as said:
        (vector,) = client.embed(model=EMBEDDER, input="a cat").embeddings
        assert len(vector) == 384
        said(len(vector))
    with report.feature("errors") as said:
        try:
            client.chat(model="no-such-model", messages=[first])
        except ResponseError as error:
            said(error.error if error.status_code == 404 else "")


tell(program)
