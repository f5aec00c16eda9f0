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
    Column("duration_s", Float),  # of a video; NULL for pictures, animated ones too
    Column("still_s", Float),  # when a video shows the frame that stands for it
    Column("phash", BigInteger),
    Column("dhash", BigInteger),
    Column("colours", LargeBinary),  # of 4 x 4 parts, RGB, shown until the thumbnail is loaded
    Column("pixels_sha256", String(64)),  # of the pixels as they were read; NULL if those were not decoded
    Column("ocr_text", Text),  # lines joined by "\n"; NULL until read
    Column("ocr_source", String(8)),  # machine | human
    Column("description", Text),
    Column("description_source", String(8)),  # machine | human
    Column("description_model", Text),
    Column("description_origin", Text),  # the metadata field or sidecar; NULL if written in Smallsight
    Column("description_refused", Text),  # the caption of the file when a person emptied the description
    Column("file_words", Text),  # JSON of FileWords: what the file's metadata says; NULL if nothing
    Column("taken_wall_s", Float),  # when it was taken: wall-clock time there, as seconds as if it were UTC
    Column("taken_offset_min", Integer),  # of that clock from UTC; NULL if unknown
    Column("taken_origin", Text),  # exif, xmp, iptc, png, takeout, or kin; NULL if there is no date
    Column("camera", Text),  # maker and model
    Column("latitude", Float),  # degrees, both or neither
    Column("longitude", Float),
    Column(
        "text_version", Integer, nullable=False, server_default="0"
    ),  # increases when any text or tag changes
    Index("content_pixels", "pixels_sha256"),
    CheckConstraint("ocr_source IN ('machine', 'human')", name="ocr_source_known"),
    CheckConstraint("description_source IN ('machine', 'human')", name="description_source_known"),
)

description_version = Table(  # every description that a content has had; no two of them are the same
    "description_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), nullable=False),
    Column("text", Text, nullable=False),
    Column("source", String(8), nullable=False),  # machine | human | file
    Column("model", Text),
    Column("precision", Text),  # of the model; NULL if unknown
    Column("prompt", Text),  # NULL for the model's default prompt, or if unknown
    Column("origin", Text),  # the metadata field or sidecar
    Column("made_at_s", Float),  # NULL if it is older than the table
    CheckConstraint("source IN ('machine', 'human', 'file')", name="version_source_known"),
    Index("description_version_content", "content_id"),
    sqlite_autoincrement=True,  # a number that a person has seen never means another version
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
    Column("colour", String(7)),  # "#rrggbb", or NULL for the colour of all chips
)

content_tag = Table(
    "content_tag",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", Integer, ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
    Column("source", String(8), nullable=False, server_default="human"),  # machine | human
    Column("origin", Text),  # the metadata field or sidecar; NULL if added in Smallsight
    Column("suggested_by", Text),  # the model whose suggestion a person accepted; NULL if there was none
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

picture_vector = Table(  # what a picture, or a frame, looks like to a picture embedding model
    "picture_vector",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), nullable=False),
    Column("embedder_key", String(64), nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float16 little-endian, unit length
    Column("time_s", Float),  # of the frame; NULL for the picture itself, or the still of a video
    Index("picture_vector_content", "content_id"),
    Index("picture_vector_embedder", "embedder_key", "content_id"),
    sqlite_autoincrement=True,  # ids are never reused, as those of ``chunk``
)

facet = Table(  # what contents that have a file are filtered and sorted by; derived, see ``facets``
    "facet",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("date_wall_s", Float, nullable=False),  # content.taken_wall_s, or the oldest file's local time
    Column("month", Integer, nullable=False),  # of that date: 12 * year + month - 1
    Column("name_key", Text, nullable=False),  # of the first file
    Column("size_bytes", BigInteger, nullable=False),
    Column("added_at_s", Float, nullable=False),
    Column("kind", String(10), nullable=False),  # photo | animation | video | document | picture
    Column("camera", Text, nullable=False),  # its words in search form between spaces; "" if unknown
    Column("is_described", Boolean, nullable=False),
    Column("has_text", Boolean, nullable=False),
    Column("is_tagged", Boolean, nullable=False),
    Index("facet_date", "date_wall_s"),
    Index("facet_name", "name_key"),
    Index("facet_size", "size_bytes"),
    Index("facet_added_at", "added_at_s"),
)

month_count = Table(  # how many rows of ``facet`` each month has; triggers count
    "month_count",
    metadata,
    Column("month", Integer, primary_key=True),
    Column("num_contents", Integer, nullable=False),
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

saved_search = Table(  # a search that a person has named
    "saved_search",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("folded", Text, nullable=False, unique=True),  # how the name is compared
    Column("fields", Text, nullable=False),  # JSON object: the fields of the gallery's address
    Column("saved_at_s", Float, nullable=False),
)

look_alike = Table(  # hashes of several views of a picture, see ``alike.views``
    "look_alike",
    metadata,
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("views", LargeBinary, nullable=False),
)

alike_pair = Table(  # two contents that look the same or similar; the lower id first
    "alike_pair",
    metadata,
    Column("first_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("second_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("is_same", Boolean, nullable=False),  # by look alone; their texts may differ
    Column("is_upright", Boolean, nullable=False),  # neither mirrored nor turned
    Column("correlation", Float, nullable=False),
    Column("reasons", Text, nullable=False),  # JSON list of ``alike.pairs.Reason``
    Column("changed_id", Integer),  # which of the two was cropped or added to; NULL if neither or both
    Index("alike_pair_second", "second_id"),
)

duplicate_decision = Table(  # what a person decided about two contents, or about the files of one
    "duplicate_decision",
    metadata,
    Column("first_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("second_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("decision", String(16), nullable=False),
    Column("num_files", Integer),  # that the content had; NULL for two contents
    Column("decided_at_s", Float, nullable=False),
    CheckConstraint("decision IN ('keep_both', 'removed')", name="decision_known"),
    Index("duplicate_decision_second", "second_id"),
)

ignored = Table(  # contents that a person removed from the index, while their files stay
    "ignored",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("ignored_at_s", Float, nullable=False),
)

ignored_file = Table(  # where files with such contents are, so that they are not read at every scan
    "ignored_file",
    metadata,
    Column("folder_id", Integer, ForeignKey("folder.id", ondelete="CASCADE"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("sha256", String(64), ForeignKey("ignored.sha256", ondelete="CASCADE"), nullable=False),
    Index("ignored_file_content", "sha256"),
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

description_run = Table(  # descriptions of many contents that a person asked for
    "description_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", Text, nullable=False),  # the search that found the contents, or other words for them
    Column("model", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("prompt", Text),  # NULL for the one in the settings
    Column("replaces", Boolean, nullable=False),  # describes again what a model has described
    Column("force", Boolean, nullable=False),  # describes whatever there is, before all other runs
    Column("state", String(9), nullable=False),
    Column("error_code", Text),  # why it was paused, if not by a person
    Column("error", Text),
    Column("created_at_s", Float, nullable=False),
    Column("started_at_s", Float),  # first content taken
    Column("finished_at_s", Float),  # finished or cancelled
    CheckConstraint(
        "state IN ('running', 'paused', 'cancelled', 'finished')", name="description_run_state_known"
    ),
    sqlite_autoincrement=True,  # a number that a person has seen never means another run
)

description_run_content = Table(
    "description_run_content",
    metadata,
    Column("run_id", Integer, ForeignKey("description_run.id", ondelete="CASCADE"), primary_key=True),
    Column("content_id", Integer, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String(7), nullable=False),
    Column("error_code", Text),  # why it failed or was skipped
    Column("error", Text),
    Column("seconds", Float),
    Column("finished_at_s", Float),
    CheckConstraint(
        "state IN ('due', 'done', 'failed', 'skipped')", name="description_run_content_state_known"
    ),
    Index("description_run_content_state", "run_id", "state", "error_code"),
    Index("description_run_content_finished", "run_id", "finished_at_s"),
    Index("description_run_content_content", "content_id"),
)

validation = Table(  # what a validation has found out about a model; only the newest of each are kept
    "validation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", Text, nullable=False),  # the variant
    Column("base", Text, nullable=False),
    Column("scheme", Text),  # identity of its quantisation scheme; NULL on another server
    Column("precision", Text),
    Column("key", Text),  # what determines its answers
    Column("version", Text, nullable=False),  # Smallsight's
    Column("machine", Text, nullable=False),  # processor and instruction sets
    Column("picture_set", String(64), nullable=False),  # hash over pictures and questions
    Column("measured_at_s", Float, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("is_decided", Boolean, nullable=False),  # false: too few pictures
    Column("reasons", Text, nullable=False),  # JSON list of sentences
    Column("summary", Text, nullable=False),  # JSON of the means over pictures
    Column("weights_bytes", BigInteger),  # NULL, like the next, where it could not be measured
    Column("loaded_bytes", BigInteger),  # of the process
    Column("peak_bytes", BigInteger),  # of the process while answering
    Column("first_token_s", Float),  # medians
    Column("tokens_per_s", Float),
    Column("pictures_per_min", Float),
    CheckConstraint("verdict IN ('stable', 'experimental', 'do not ship')", name="validation_verdict_known"),
    Index("validation_model", "model", "measured_at_s"),
)
