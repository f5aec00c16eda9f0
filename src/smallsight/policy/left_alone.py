"""Names of files and folders that hold none of a person's own pictures, as glob patterns without case.

Hidden files, recycle bins, snapshots, thumbnails and leftovers, as Windows, macOS, Linux and network disks
name them.
"""

from __future__ import annotations

LEFT_ALONE = (
    ".*",
    "$RECYCLE.BIN",
    "RECYCLER",
    "#recycle",
    "@Recycle",
    "Network Trash Folder",
    "Temporary Items",
    "System Volume Information",
    "lost+found",
    "#snapshot",
    "@Recently-Snapshot",
    "~snapshot",
    "@eaDir",
    "@Thumb",
    "Thumbs.db",
    "__MACOSX",
    "*.photoslibrary/resources",
    "*.photoslibrary/database",
    "*.lrdata",
    "*.aplibrary/thumbnails",
    "node_modules",
    "__pycache__",
)
