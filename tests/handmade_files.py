"""Files and profiles written byte by byte, because no library writes them."""

from __future__ import annotations

import struct
import zlib


def png(depth: int, colour_type: int, row: bytes, width_px: int, key: tuple[int, ...]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, 1, depth, colour_type, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )


def profile_with_primaries(primaries: dict[bytes, tuple[float, float, float]], gamma: float) -> bytes:
    """Build a matrix profile by hand: its colours in XYZ at D50, and one gamma."""

    def fixed(number: float) -> bytes:
        return struct.pack(">i", round(number * 65_536))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    values = {kind: b"XYZ " + bytes(4) + b"".join(map(fixed, xyz)) for kind, xyz in primaries.items()}
    values[b"wtpt"] = b"XYZ " + bytes(4) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    values.update(dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))
    values[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)
    values[b"cprt"] = b"text" + bytes(4) + b"none" + bytes(4)
    table, body, position = struct.pack(">I", len(values)), b"", 128 + 4 + 12 * len(values)
    for kind, value in values.items():
        table += kind + struct.pack(">II", position + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    rest = table + body
    header = struct.pack(">I4sI4s4s4s", 128 + len(rest), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + rest


DISPLAY_P3 = profile_with_primaries(
    {
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.2919, 0.6922, 0.0419),
        b"bXYZ": (0.1572, 0.0666, 0.7841),
    },
    2.2,
)


def iso_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def with_property(avif: bytes, added: bytes) -> bytes:
    """Return an AVIF that Pillow wrote, of one picture, with one more property of that picture."""
    ipco, ipma = avif.index(b"ipco") - 4, avif.index(b"ipma") - 4
    ipco_end, num_properties = ipco + int.from_bytes(avif[ipco : ipco + 4], "big"), avif[ipma + 18]
    numbers_end = ipma + 19 + num_properties
    number, at = 1, ipco + 8
    while at < ipco_end:
        number, at = number + 1, at + int.from_bytes(avif[at : at + 4], "big")
    associated = bytes([num_properties + 1]) + avif[ipma + 19 : numbers_end] + bytes([0x80 | number])
    data = bytearray(avif[:ipco_end] + added + avif[ipco_end : ipma + 18] + associated + avif[numbers_end:])
    grown = len(added) + 1
    for name, by in ((b"meta", grown), (b"iprp", grown), (b"ipco", len(added)), (b"ipma", 1)):
        at = data.index(name) - 4
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + by).to_bytes(4, "big")
    offset = data.index(b"iloc") + 4 + 14  # of the only extent of the only item
    data[offset : offset + 4] = (int.from_bytes(data[offset : offset + 4], "big") + grown).to_bytes(4, "big")
    return bytes(data)
