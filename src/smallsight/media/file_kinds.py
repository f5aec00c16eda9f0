"""What a file is, for a scan: by its name where that is enough, otherwise by its first bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePath

from smallsight.media.formats import readable_format
from smallsight.media.video_formats import is_container

_HEAD_BYTES = 1024  # the brands of an ISO base media file take up to 256, three packets of a stream 612
_STREAM_OR_SOURCE = ".ts"  # recordings of television, and source files of TypeScript


class FileKind(StrEnum):
    """What a scan does with a file; all but pictures are only counted."""

    PICTURE = "pictures"
    VIDEO = "videos"
    PDF = "pdfs"
    RAW = "raw_photos"
    UNREAD = "other_pictures"  # of a format that is not read
    OTHER = "other_files"


_SUFFIXES: Mapping[FileKind, str] = {
    FileKind.PICTURE: """
        jpg jpeg jpe jfif jif pjpeg pjp mpo png apng webp gif bmp dib tif tiff avif avifs heic heics
        heif heifs hif
    """,
    FileKind.VIDEO: "mp4 m4v mov qt mkv webm avi mpg mpeg mts m2ts wmv flv 3gp 3g2 ogv vob insv",
    FileKind.PDF: "pdf",
    FileKind.RAW: """
        3fr ari arw cap cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef ptx
        r3d raf raw rw2 rwl sr2 srf srw x3f
    """,
    FileKind.UNREAD: """
        jxl jp2 j2k jpx jxr wdp psd psb xcf kra svg svgz eps ai ico cur icns exr hdr qoi dds tga pcx
        ppm pgm pbm pnm pam pfm
    """,
    FileKind.OTHER: """
        txt md rst rtf doc docx odt xls xlsx ods ppt pptx odp pages numbers key epub csv tsv json
        jsonl xml xmp aae thm html htm css js mjs tsx jsx py pyc pyi ipynb c h cc cpp hpp cs java
        class jar kt go rs rb php sh bat ps1 pl lua r sql toml yaml yml ini cfg conf lock log db
        sqlite sqlite3 sqlite-wal sqlite-shm parquet npy npz safetensors gguf onnx zip gz bz2 xz zst
        7z rar tar tgz iso dmg exe dll so dylib o a lib msi apk deb rpm mp3 m4a aac flac wav ogg
        opus wma aiff mid srt vtt lrc ttf otf woff woff2 url lnk torrent
    """,
}
_KIND_BY_SUFFIX = {f".{suffix}": kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def kind_of_name(name: str) -> FileKind | None:
    """Return the kind that the ending of a file's name says; None if it says nothing."""
    return _KIND_BY_SUFFIX.get(PurePath(name).suffix.lower())


def kind_of_file(path: Path) -> FileKind:
    """Return the kind of a file; one whose name says nothing is opened. Never raises for a broken file."""
    by_name = kind_of_name(path.name)
    if by_name is not None:
        return by_name
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return FileKind.OTHER
    try:
        head = os.read(descriptor, _HEAD_BYTES)
    except OSError:
        return FileKind.OTHER
    finally:
        os.close(descriptor)
    if _is_stream_or_source(path.name):
        return FileKind.VIDEO if is_container(head) else FileKind.OTHER
    return FileKind.OTHER if readable_format(head) is None else FileKind.PICTURE


def kind_of_found(name: str) -> FileKind:
    """Return the kind of a file that a scan has found to be a picture or a video, by its name."""
    kind = FileKind.VIDEO if _is_stream_or_source(name) else kind_of_name(name)
    return FileKind.VIDEO if kind is FileKind.VIDEO else FileKind.PICTURE


def _is_stream_or_source(name: str) -> bool:
    return PurePath(name).suffix.lower() == _STREAM_OR_SOURCE
