"""What a form brings: texts, ticks and files, none of which is believed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

LARGEST_FIELD = 4_000_000  # bytes of one pasted text


@dataclass(frozen=True)
class Form:
    """The fields of a form by name; what wasn't sent is empty. Also what a template fills a form from."""

    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, UploadFile] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        return self.texts.get(name, default)

    def ticked(self, name: str) -> bool:
        return bool(self.texts.get(name))

    def number(self, name: str) -> int | None:
        """A whole number from 0; None for anything else."""
        text = self.text(name).strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


async def _sent(request: Request) -> AsyncIterator[Form]:
    async with request.form(max_part_size=LARGEST_FIELD) as form:
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        files = {name: value for name, value in form.items() if isinstance(value, UploadFile) and value.filename}
        yield Form(texts, files)


Sent = Annotated[Form, Depends(_sent)]
