"""The list of stages, in the order of the work: the only module that names them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smallsight.library.database import Database
from smallsight.library.describing import PictureDescriber
from smallsight.library.embedding import TextEmbedding
from smallsight.library.ledger import LOOK, StageName
from smallsight.library.picture_embedding import PictureEmbedding
from smallsight.library.stages.compare import COMPARE, CompareWork
from smallsight.library.stages.compare_looks import COMPARE_LOOKS, CompareLooksWork
from smallsight.library.stages.describe import DESCRIBE, DescribeWork
from smallsight.library.stages.embed import EMBED, EmbedWork
from smallsight.library.stages.embed_frames import EMBED_FRAMES, EmbedFramesWork
from smallsight.library.stages.embed_picture import EMBED_PICTURE, EmbedPictureWork
from smallsight.library.stages.look import LookWork
from smallsight.library.stages.metadata import METADATA, MetadataWork
from smallsight.library.stages.read import READ, ReadWork, TextReading
from smallsight.library.stages.stage_work import StageWork
from smallsight.library.stages.tag import TAG, TagWork
from smallsight.library.tagging import PictureTagger
from smallsight.settings import Settings


@dataclass(frozen=True, slots=True)
class Means:
    """What stages need to fill a library; a stage whose component is None is left out."""

    database: Database
    settings: Settings
    reader: TextReading | None = None
    embedder: TextEmbedding | None = None
    describer: PictureDescriber | None = None
    tagger: PictureTagger | None = None
    picture_embedder: PictureEmbedding | None = None


_MAKERS: dict[StageName, Callable[[Means], StageWork | None]] = {
    LOOK: lambda means: LookWork(means.settings),
    METADATA: lambda means: MetadataWork(means.settings) if means.settings.index.metadata else None,
    READ: lambda means: None if means.reader is None else ReadWork(means.reader, means.settings),
    EMBED_PICTURE: lambda means: (
        None if means.picture_embedder is None else EmbedPictureWork(means.picture_embedder)
    ),
    EMBED_FRAMES: lambda means: (
        None if means.picture_embedder is None else EmbedFramesWork(means.picture_embedder)
    ),
    DESCRIBE: lambda means: (
        None if means.describer is None else DescribeWork(means.describer, means.settings)
    ),
    TAG: lambda means: (
        None if means.tagger is None else TagWork(means.tagger, means.settings, reads=means.reader is None)
    ),
    EMBED: lambda means: None if means.embedder is None else EmbedWork(means.embedder, means.database),
    COMPARE: lambda means: CompareWork(means.database, means.settings),
    COMPARE_LOOKS: lambda means: (
        None
        if means.picture_embedder is None
        else CompareLooksWork(means.database, means.settings, means.picture_embedder.key)
    ),
}
STAGE_NAMES = tuple(_MAKERS)


def list_stages(means: Means) -> list[StageWork]:
    """Return the stages that are possible with these components, in the order of the work."""
    return [work for make in _MAKERS.values() if (work := make(means)) is not None]
