"""The examples of the documentation are rows of the contract."""

import json
import re
from pathlib import Path

from rlhf.data.schema import KINDS, Row, detect_kind
from rlhf.data.validate import check_row

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


def test_every_example_on_the_page_is_sound():
    blocks = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    seen = set()
    for block in blocks:
        rest = block.strip()
        while rest:
            fields, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].strip()
            seen.add(kind := detect_kind(fields))
            assert isinstance(check_row(fields, kind), Row), fields
    assert seen == set(KINDS)
