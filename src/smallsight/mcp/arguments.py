"""The arguments of each tool; their JSON schemas are what an agent sees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from smallsight.library.search.query import with_signed

MAX_QUERY_CHARS, MAX_NAME_CHARS, MAX_QUESTION_CHARS = 1000, 4096, 2000
MAX_HITS, MAX_OFFSET, MAX_EDITED, MAX_TAGS = 50, 100_000, 100, 20


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


PictureName = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(
        min_length=1,
        max_length=MAX_NAME_CHARS,
        description="A picture of the library: its id, its smallsight://pictures/ID address, or its path.",
    ),
]
QueryText = Annotated[
    str,
    Field(
        max_length=MAX_QUERY_CHARS,
        description='Words, in any order; "a phrase", -without, tag:, folder:, camera:, year:, is:untagged.',
    ),
]
AnsweringModel = Annotated[
    str | None,
    Field(max_length=200, description="A model that is installed; without one, the active model answers."),
]
WithImages = Annotated[bool, Field(description="Also return small images of the pictures.")]
LookWord = Annotated[str, Field(min_length=1, max_length=200)]
TagName = Annotated[str, Field(min_length=1, max_length=200)]
Day = Annotated[
    str | None, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$", description="YYYY, YYYY-MM or YYYY-MM-DD.")
]


class ToolArguments(BaseModel):
    """Arguments of one tool; unknown ones are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")


class SearchArguments(ToolArguments):
    """What to find."""

    query: QueryText = ""
    mode: Annotated[
        Literal["fused", "keyword", "semantic"],
        Field(description="Words and meaning joined, words alone, or meaning alone."),
    ] = "fused"
    tags: Annotated[list[TagName], Field(max_length=MAX_TAGS, description="Only with all these tags.")] = []
    folder: Annotated[str | None, Field(max_length=1000, description="Only in a folder of this name.")] = None
    kind: Literal["photo", "picture", "animation", "video", "document"] | None = None
    taken_after: Day = None
    taken_before: Day = None
    described: Annotated[bool | None, Field(description="Only with, or only without a description.")] = None
    sort: Literal["relevance", "newest", "oldest", "name", "size", "added"] = "relevance"
    limit: Annotated[int, Field(ge=1, le=MAX_HITS)] = 10
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0
    images: WithImages = False

    @property
    def text(self) -> str:
        """The search in the query language."""
        named = [("tag", tag) for tag in self.tags]
        named += [("folder", self.folder or ""), ("kind", self.kind or "")]
        parts = [self.query]
        parts += [f'{name}:"{value.replace(chr(34), " ")}"' for name, value in named if value.strip()]
        parts += [f"after:{self.taken_after}"] if self.taken_after else []
        parts += [f"before:{self.taken_before}"] if self.taken_before else []
        parts += {True: ["is:described"], False: ["is:undescribed"], None: []}[self.described]
        return " ".join(part for part in parts if part)


class ShowArguments(ToolArguments):
    """The picture to show."""

    picture: PictureName
    image: Annotated[
        bool, Field(description="Also return the picture, as an image of at most 640 pixels.")
    ] = False


class SimilarArguments(ToolArguments):
    """The picture to compare with."""

    picture: PictureName
    query: QueryText = ""
    plus: Annotated[
        list[LookWord],
        Field(max_length=MAX_TAGS, description="What the pictures should show besides, such as sunset."),
    ] = []
    minus: Annotated[
        list[LookWord], Field(max_length=MAX_TAGS, description="What they should not show, such as people.")
    ] = []
    limit: Annotated[int, Field(ge=1, le=MAX_HITS)] = 10
    images: WithImages = False

    @property
    def text(self) -> str:
        """The words of the search, with those that have a sign."""
        return with_signed(self.query, self.plus, self.minus)


class DescribeArguments(ToolArguments):
    """The picture to describe."""

    picture: PictureName
    again: Annotated[bool, Field(description="Let a model describe it now; the stored one stays.")] = False
    model: AnsweringModel = None


class QuestionArguments(ToolArguments):
    """The picture and the question."""

    picture: PictureName
    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARS)]
    model: AnsweringModel = None


class TagArguments(ToolArguments):
    """The pictures and the tags."""

    pictures: Annotated[list[PictureName], Field(min_length=1, max_length=MAX_EDITED)]
    tags: Annotated[list[TagName], Field(min_length=1, max_length=MAX_TAGS)]


class NoArguments(ToolArguments):
    """No arguments."""
