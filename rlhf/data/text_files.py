"""Opening text files: UTF-8, with or without a byte-order mark, packed by gzip or not."""

import gzip
from pathlib import Path
from typing import BinaryIO, cast

from rlhf.errors import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where its name ends in `.gz`."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.lower().endswith(".gz") else path.open("rb")


def decode(path: Path) -> str:
    """A whole file as text.

    Raises:
        DataError: it is not UTF-8; names the line.
    """
    with open_bytes(path) as file:
        raw: bytes = file.read().removeprefix(BYTE_ORDER_MARK)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise DataError(
            f"{path}, line {line}: {encoding_message(raw, error)}",
            remedy=f"If it is Latin-1: iconv -f latin1 -t utf-8 {path.name} > utf8_{path.name}",
        ) from error


def encoding_message(raw: bytes, error: UnicodeDecodeError) -> str:
    """What is wrong with bytes that aren't UTF-8."""
    return f"byte 0x{raw[error.start]:02x} is not UTF-8 (an old encoding, such as Latin-1?)"
