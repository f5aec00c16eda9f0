"""Found the library: folders, pictures, contents, texts, tags, outcomes, leases and the search index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEARCH_TABLES = (
    # What search looks at, in the form of library/search/tokens.py; see library/search/sqlite/search_text.py.
    """CREATE TABLE search_text (
        content_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL, folder TEXT NOT NULL, tags TEXT NOT NULL,
        description TEXT NOT NULL, ocr TEXT NOT NULL, filters TEXT NOT NULL)""",
    """CREATE VIRTUAL TABLE search_index USING fts5(
        name, folder, tags, description, ocr, filters, content = 'search_text', content_rowid = 'content_id',
        tokenize = 'ascii', columnsize = 0, prefix = '1 2 3 4')""",
    """CREATE TRIGGER search_text_added AFTER INSERT ON search_text BEGIN
        INSERT INTO search_index (rowid, name, folder, tags, description, ocr, filters)
        VALUES (new.content_id, new.name, new.folder, new.tags, new.description, new.ocr,
                new.filters); END""",
    """CREATE TRIGGER search_text_removed AFTER DELETE ON search_text BEGIN
        INSERT INTO search_index (search_index, rowid, name, folder, tags, description, ocr, filters)
        VALUES ('delete', old.content_id, old.name, old.folder, old.tags, old.description, old.ocr,
                old.filters); END""",
    """CREATE TRIGGER search_text_changed BEFORE UPDATE ON search_text BEGIN
        SELECT RAISE (ABORT, 'search_text rows are deleted and inserted, never updated'); END""",
    "CREATE VIRTUAL TABLE search_vocabulary USING fts5vocab(search_index, 'row')",
    # Every distinct word ever indexed, with its trigrams: for misspelt words and parts of words.
    "CREATE TABLE term (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE)",
    "CREATE INDEX term_head ON term (substr(term, 1, 2), length(term), term)",
    "CREATE INDEX term_tail ON term (substr(term, -2), length(term), term)",
    """CREATE VIRTUAL TABLE term_trigram USING fts5(
        term, content = 'term', content_rowid = 'id', tokenize = 'trigram case_sensitive 1',
        columnsize = 0)""",
    "CREATE VIRTUAL TABLE trigram_vocabulary USING fts5vocab(term_trigram, 'row')",
    """CREATE TRIGGER term_added AFTER INSERT ON term BEGIN
        INSERT INTO term_trigram (rowid, term) VALUES (new.id, new.term); END""",
    # With the highest id of chunk, which is never used twice, this number says whether vectors changed.
    "CREATE TABLE chunk_deletions (num_deleted INTEGER NOT NULL)",
    "INSERT INTO chunk_deletions VALUES (0)",
    """CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN
        UPDATE chunk_deletions SET num_deleted = num_deleted + 1; END""",
)


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "folder",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text, nullable=False, unique=True),
        sa.Column("added_at_s", sa.Float, nullable=False),
        sa.Column("scanned_at_s", sa.Float),
    )
    _create_content_and_pictures()
    _create_texts()
    _create_ledger()
    for statement in _SEARCH_TABLES:
        op.execute(sa.text(statement))


def _create_content_and_pictures() -> None:
    op.create_table(
        "content",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("format", sa.String(8)),
        sa.Column("width_px", sa.Integer),
        sa.Column("height_px", sa.Integer),
        sa.Column("num_frames", sa.Integer),
        sa.Column("phash", sa.BigInteger),
        sa.Column("dhash", sa.BigInteger),
        sa.Column("ocr_text", sa.Text),
        sa.Column("ocr_source", sa.String(8)),
        sa.Column("description", sa.Text),
        sa.Column("description_source", sa.String(8)),
        sa.Column("description_model", sa.Text),
        sa.Column("text_version", sa.Integer, nullable=False, server_default="0"),
        sa.CheckConstraint("ocr_source IN ('machine', 'human')", name="ocr_source_known"),
        sa.CheckConstraint("description_source IN ('machine', 'human')", name="description_source_known"),
    )
    op.create_table(
        "picture",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("folder_id", sa.Integer, sa.ForeignKey("folder.id", ondelete="CASCADE"), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("content_id", sa.Integer, sa.ForeignKey("content.id"), nullable=True),
        sa.Column("error", sa.Text),
        sa.Column("seen_at_s", sa.Float, nullable=False),
        sa.Column("vanished_at_s", sa.Float),
        sa.UniqueConstraint("folder_id", "path", name="picture_place"),
    )
    op.create_index("picture_content", "picture", ["content_id"])


def _create_texts() -> None:
    op.create_table(
        "text_line",
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("box", sa.Text, nullable=False),
    )
    op.create_table(
        "tag",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "content_tag",
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("tag_id", sa.Integer, sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("content_tag_tag", "content_tag", ["tag_id"])
    op.create_table(
        "chunk",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("embedder_key", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("chunk_content", "chunk", ["content_id"])
    op.create_index("chunk_embedder", "chunk", ["embedder_key", "content_id"])


def _create_ledger() -> None:
    op.create_table(
        "outcome",
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("stage", sa.String(16), primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("finished_at_s", sa.Float, nullable=False),
        sa.CheckConstraint("status IN ('done', 'failed')", name="status_known"),
    )
    op.create_index("outcome_stage", "outcome", ["stage", "status"])
    op.create_table(
        "lease",
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("stage", sa.String(16), primary_key=True),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("expires_at_s", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
