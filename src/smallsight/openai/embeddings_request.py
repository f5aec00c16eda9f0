"""The body of `POST /v1/embeddings`.

Source: the official Python client's types for embeddings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from smallsight.answering.texts_only import require_texts
from smallsight.errors import BadRequestError
from smallsight.openai.wire_fields import ModelName, Wire

MAX_TEXTS = 2048
MAX_DIMENSIONS = 1_000_000


class EmbeddingsRequest(Wire):
    """Texts to embed."""

    model: ModelName | None = None
    input: Any
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=MAX_DIMENSIONS)] | None = None

    def texts(self) -> list[str]:
        """Return the texts; raises BadRequestError for pictures, token ids, empty texts, and too many."""
        require_texts(self.input, "input")
        texts = [self.input] if isinstance(self.input, str) else self.input
        if not isinstance(texts, list) or not texts:
            raise BadRequestError(
                "input is neither a text nor a list of texts.", hint="send at least one.", param="input"
            )
        if len(texts) > MAX_TEXTS and isinstance(texts[0], str):
            raise BadRequestError(
                f"input has {len(texts)} texts (limit {MAX_TEXTS}).", hint="send fewer.", param="input"
            )
        for one in texts:
            if isinstance(one, int | list):
                raise BadRequestError(
                    "input has token ids, which belong to another model's tokenizer.",
                    hint="send texts; in LangChain, check_embedding_ctx_length=False does that.",
                    param="input",
                )
            if not isinstance(one, str) or not one:
                raise BadRequestError(
                    "input has an item that is empty or no text.", hint="leave it out.", param="input"
                )
        return texts
