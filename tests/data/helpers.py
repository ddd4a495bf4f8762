"""Writing small data files for the tests."""

import json
from pathlib import Path
from typing import Any


def write_lines(path: Path, *rows: Any) -> Path:
    """A JSONL file; strings are written as they are."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def turns(*contents: str, first: str = "user") -> list[dict[str, str]]:
    """Messages whose roles alternate between user and assistant."""
    roles = ("user", "assistant") if first == "user" else ("assistant", "user")
    return [{"role": roles[at % 2], "content": content} for at, content in enumerate(contents)]
