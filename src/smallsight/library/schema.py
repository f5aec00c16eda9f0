"""The tables of the library, for SQLAlchemy Core.

Owns names and types. The migrations create them; nothing calls ``metadata.create_all``.

A **picture** is a file at a path; a **content** is its bytes. Everything known about a picture belongs to its
content, so that a moved file keeps it and duplicates share it. Times are seconds since the epoch, in UTC.
Hashes of 64 bits are stored as signed integers, because SQLite has no unsigned ones.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

folder = Table(
    "folder",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False, unique=True),  # absolute, symbolic links resolved
    Column("added_at_s", Float, nullable=False),
    Column("scanned_at_s", Float),  # last complete scan
)

content = Table(
    "content",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),  # lower-case hexadecimal
    Column("size_bytes", BigInteger, nullable=False),
    Column("format", String(8)),  # the columns down to dhash are filled by the "look" stage
    Column("width_px", Integer),
    Column("height_px", Integer),
    Column("num_frames", Integer),
    Column("phash", BigInteger),
    Column("dhash", BigInteger),
    Column("pixels_sha256", String(64)),  # of the pixels as they were read; NULL if those were not decoded
    Column("ocr_text", Text),  # lines joined by "\n"; NULL until read
    Column("ocr_source", String(8)),  # machine | human
    Column("description", Text),
    Column("description_source", String(8)),  # machine | human
    Column("description_model", Text),
    Column("description_origin", Text),  # the metadata field or sidecar; NULL if written in Smallsight
    Column("description_refused", Text),  # the caption of the file when a person emptied the description
    Column("file_words", Text),  # JSON of FileWords: what the file's metadata says; NULL if nothing
    Column(
        "text_version", Integer, nullable=False, server_default="0"
    ),  # increases when any text or tag changes
    Index("content_pixels", "pixels_sha256"),
    CheckConstraint("ocr_source IN ('machine', 'human')", name="ocr_source_known"),
    CheckConstraint("description_source IN ('machine', 'human')", name="description_source_known"),
)

succession = Table(  # a file had the content ``before_id`` and has another now
    "succession",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("before_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("is_same", Boolean),  # shows the same picture, so that words were passed on; NULL until decoded
)

picture = Table(
    "picture",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("folder_id", Integer, ForeignKey("folder.id", ondelete="CASCADE"), nullable=False),
    Column("path", Text, nullable=False),  # relative to the folder, with "/" on every platform
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column(
        "content_id", Integer, ForeignKey("content.id"), nullable=True
    ),  # NULL when the file could not be read
    Column("error", Text),  # why it could not be read
    Column("seen_at_s", Float, nullable=False),  # first time
    Column("vanished_at_s", Float),  # NULL while the file is there
    UniqueConstraint("folder_id", "path", name="picture_place"),
    Index("picture_content", "content_id"),
)

sidecar = Table(  # a file beside a picture with words about it
    "sidecar",
    metadata,
    Column("picture_id", Integer, ForeignKey("picture.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),  # in the folder of the picture
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("words", Text),  # JSON of FileWords; NULL if there are none
)

text_line = Table(
    "text_line",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),  # reading order, from 0
    Column("text", Text, nullable=False),
    Column("confidence", Float, nullable=False),  # 0..1
    Column("box", Text, nullable=False),  # JSON [[x, y] * 4], clockwise from top left, fractions of the sides
)

tag = Table(
    "tag",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),  # as the person wrote it
    Column("folded", Text, nullable=False, unique=True),  # how it is compared
)

content_tag = Table(
    "content_tag",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", Integer, ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
    Column("source", String(8), nullable=False, server_default="human"),  # machine | human
    Column("origin", Text),  # the metadata field or sidecar; NULL if added in Smallsight
    CheckConstraint("source IN ('machine', 'human')", name="tag_source_known"),
    Index("content_tag_tag", "tag_id"),
)

refused_tag = Table(  # what a person removed from a content, so that no machine adds it again
    "refused_tag",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("folded", Text, primary_key=True),  # of the tag, which may have been deleted since
)

chunk = Table(
    "chunk",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), nullable=False),
    Column("text", Text, nullable=False),
    Column("embedder_key", String(64), nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float16 little-endian, unit length
    Index("chunk_content", "content_id"),
    Index("chunk_embedder", "embedder_key", "content_id"),
    sqlite_autoincrement=True,  # ids are never reused: vectors in memory are updated by them
)

outcome = Table(
    "outcome",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("key", Text, nullable=False),  # what made the result: program, model, settings
    Column("status", String(8), nullable=False),
    Column("error_code", Text),
    Column("error", Text),
    Column("seconds", Float, nullable=False),
    Column("finished_at_s", Float, nullable=False),
    CheckConstraint("status IN ('done', 'failed')", name="status_known"),
    Index("outcome_stage", "stage", "status"),
)

lease = Table(
    "lease",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("token", String(32), nullable=False),  # of the worker that holds it
    Column("expires_at_s", Float, nullable=False),
)

edit = Table(  # an edit by a person, for undo; only the newest are kept
    "edit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("made_at_s", Float, nullable=False),
    Column("summary", Text, nullable=False),  # what was changed, in a few words
    Column("undone_order", Integer),  # 1 for the first undone of those that are now; NULL while in force
    sqlite_autoincrement=True,  # a number that a person has seen never means another edit
)

edit_content = Table(
    "edit_content",
    metadata,
    Column("edit_id", Integer, ForeignKey("edit.id", ondelete="CASCADE"), primary_key=True),
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("changes", Text, nullable=False),  # JSON {key: [row before, row after]}, see ``word_state``
    Index("edit_content_content", "content_id"),
)
