"""What changed in a text: nothing is lost of either version, and only what differs is marked."""

from hypothesis import given
from hypothesis import strategies as st

from labeling_app.differences import Line, lines_between
from labeling_app.lead.wording import MOST_WORDS, ChangedLine, Piece, by_words

TEXTS = st.text(alphabet="ab ,\n", max_size=40)


def marked(lines: list[ChangedLine], kind: str) -> list[str]:
    return [piece.text for line in lines if line.kind == kind for piece in line.pieces if piece.changed]


def test_a_changed_word_is_marked_within_its_line() -> None:
    found = by_words([Line("same", "# Title"), Line("removed", "Be kind to all."), Line("added", "Be fair to all.")])
    assert found == [
        ChangedLine("same", (Piece("# Title", False),)),
        ChangedLine("removed", (Piece("Be ", False), Piece("kind", True), Piece(" to all.", False))),
        ChangedLine("added", (Piece("Be ", False), Piece("fair", True), Piece(" to all.", False))),
    ]


def test_lines_that_are_not_alike_are_marked_as_wholes() -> None:
    found = by_words([Line("removed", "Something old."), Line("added", "x"), Line("added", "y")])
    assert marked(found, "removed") == ["Something old."] and marked(found, "added") == ["x", "y"]


def test_a_very_long_line_is_marked_as_a_whole() -> None:
    old, new = "word " * MOST_WORDS, "word " * MOST_WORDS + "more"
    assert marked(by_words([Line("removed", old), Line("added", new)]), "added") == [new]


@given(TEXTS, TEXTS)
def test_both_versions_can_be_read_from_it(old: str, new: str) -> None:
    lines = lines_between(old, new)
    found = by_words(lines)
    for kind, text in (("removed", old), ("added", new)):
        kept = ["".join(piece.text for piece in line.pieces) for line in found if line.kind in ("same", kind)]
        assert kept == text.splitlines()
    assert not any(piece.changed for line in found if line.kind == "same" for piece in line.pieces)
    if old == new:
        assert {line.kind for line in found} <= {"same"}
