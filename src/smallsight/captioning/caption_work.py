"""What is done with one picture besides asking the model: opening, reading its text, embedding texts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smallsight.captioning.caption_columns import TEXT, CaptionColumns, data_column, vector_column
from smallsight.captioning.source_picture import SourcePicture
from smallsight.errors import PictureError, SmallsightError, UnexpectedPictureError
from smallsight.library.embedding import TextEmbedding
from smallsight.library.many_answers import Answers, ShownPicture
from smallsight.library.misreadings import without_misreadings
from smallsight.library.stages.read import TextReading
from smallsight.media.decoder import PictureDecoder
from smallsight.media.picture import DecodedPicture
from smallsight.media.reading_size import is_paged
from smallsight.media.video_formats import is_animation, is_container
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage
from smallsight.policy.log import get_logger
from smallsight.reading.pages import read_pages
from smallsight.settings import Settings

__all__ = ["CaptionWork", "OpenedPicture", "decode_vector"]

log = get_logger(__name__)


@dataclass(slots=True)
class OpenedPicture:
    """A picture of the data set on its way through the model, without its pixels; no hash without bytes."""

    key: str
    sha256: str | None
    facts: dict[str, Any]
    text: str | None = None


class CaptionWork:
    """The parts that a run of captions works with: a decoder, a model, perhaps a reader and an embedder."""

    def __init__(
        self,
        model: Model,
        columns: CaptionColumns,
        settings: Settings,
        reader: TextReading | None,
        embedder: TextEmbedding | None,
    ) -> None:
        """``columns`` has texts or vectors only with what makes them."""
        self.model = model
        self.columns = columns
        self._settings = settings
        self._reader = reader
        self._embedder = embedder

    def open(
        self, picture: SourcePicture, data: bytes, sha256: str, decoder: PictureDecoder
    ) -> tuple[OpenedPicture, ShownPicture | SmallsightError]:
        """Return what is known about a picture without the model, and what the model is shown."""
        opened = OpenedPicture(picture.key, sha256, {})
        try:
            return opened, self._open(opened, NamedBytes(picture.name, data), sha256, decoder)
        except PictureError as error:
            return opened, error
        except Exception as failure:
            log.info("picture_unexpected", key=picture.key, exc_info=True)
            return opened, UnexpectedPictureError.of(failure)

    def result(self, opened: OpenedPicture, answers: Answers | SmallsightError) -> dict[str, Any]:
        """Return the columns that come from the bytes of a picture, as JSON can hold them."""
        found: dict[str, Any] = {**opened.facts, "model": self.model.name, "error": None, "cut": []}
        if self.columns.reads_text:
            found[TEXT] = opened.text
        if isinstance(answers, SmallsightError):
            return found | _as_reason(answers)
        for name, answer in zip(self.columns.prompts, answers, strict=True):
            if isinstance(answer, SmallsightError):
                found |= _as_reason(answer)
                continue
            found[name] = answer.text.strip()
            if name in self.columns.tasks and answer.data is not None:
                found[data_column(name)] = json.dumps(answer.data)
            if answer.finish_reason == "length":
                found["cut"].append(name)
        return found | self._vectors(found)

    def _open(
        self, opened: OpenedPicture, file: NamedBytes, sha256: str, decoder: PictureDecoder
    ) -> ShownPicture:
        if is_container(file.data):
            return file
        is_read = self._reader is not None
        picture = decoder.decode(
            file.data,
            max_side_px=self._settings.index.ocr_max_side_px if is_read else None,
            wants_full_size=True,
            wants_pages=is_read,
        )
        opened.facts.update(format=picture.format, width_px=picture.width_px, height_px=picture.height_px)
        opened.text = self._read(picture)
        if self.model.frame_sampling.knows_videos and is_animation(file.data):
            return file
        # The model's own decoder would give the same pixels, once for each prompt.
        return _image_of(picture, file.name, sha256)

    def _read(self, picture: DecodedPicture) -> str | None:
        if self._reader is None:
            return None
        lines = read_pages(
            picture.pages_HWC,
            self._reader.read,
            are_moments=not is_paged(picture.format),
        )
        text = "\n".join(line.text for line in without_misreadings(lines))
        return text[: self._settings.limits.max_text_chars]

    def _vectors(self, found: Mapping[str, Any]) -> dict[str, str]:
        """Return the vectors of this picture's texts, in base64; a text without words has none."""
        named = [name for name in self.columns.embedded if (found.get(name) or "").strip()]
        if self._embedder is None or not named:
            return {}
        vectors_ND = self._embedder.embed([found[name] for name in named])
        return {
            vector_column(name): base64.b64encode(vector_D.astype("<f4").tobytes()).decode()
            for name, vector_D in zip(named, vectors_ND, strict=True)
        }


def decode_vector(encoded: str) -> list[float]:
    """Return a vector that a result holds."""
    vector: list[float] = np.frombuffer(base64.b64decode(encoded), "<f4").tolist()
    return vector


def _image_of(picture: DecodedPicture, name: str, sha256: str) -> NamedImage:
    if picture.full_size_HWC is None:
        message = "The picture was not decoded in full size."
        raise RuntimeError(message)
    return NamedImage(name, picture.full_size_HWC, bytes.fromhex(sha256))


def _as_reason(error: SmallsightError) -> dict[str, str]:
    return {"error_code": error.code, "error": error.message}
