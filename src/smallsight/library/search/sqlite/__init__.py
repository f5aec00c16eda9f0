"""The SQLite side of search: the FTS5 index, its vocabulary, and the vectors in memory."""
