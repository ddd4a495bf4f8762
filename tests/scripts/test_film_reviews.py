"""The default task's data sets, formed from small raw files written here."""

import hashlib
import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import film_reviews
import pytest
from film_reviews import Snippet

from rlhf.data import load_rows
from rlhf.errors import DataError

SNIPPETS = 240
FILES = {
    "sft_train": "sft",
    "sft_test": "sft",
    "preference_train": "preference",
    "preference_gold_train": "preference",
    "preference_test": "preference",
    "prompts_train": "prompts",
    "prompts_test": "prompts",
}


def raw_rows() -> list[tuple[str, str, list[int]]]:
    """Snippets with ratings spread over the whole scale, two of them near-duplicates of others."""
    rows = []
    for n in range(SNIPPETS):
        level = n % 9 - 4
        ratings = [max(-4, min(4, level + (n + k) % 3 - 1)) for k in range(15 + n % 4)]
        rows.append((str(n), f"Opening number {n} of a film that goes on.", ratings))
    rows.append(("twin of 0", "opening number 0, of a film that goes on!", [1] * 15))
    rows.append(("twin of 1", "Opening number 1 of a film that goes on.", [2] * 15))
    return rows


def write_raw(folder: Path, rows: list[tuple[str, str, list[int]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    truth = [f"{id_}\t{statistics.fmean(ratings)}\t{text}\r\n" for id_, text, ratings in rows]
    single = [f"{id_}\t{statistics.fmean(ratings)}\t0.5\t{ratings}\r\n" for id_, _, ratings in rows]
    (folder / "movieReviewSnippets_GroundTruth.txt").write_bytes("".join(truth).encode())
    (folder / "movieReviewSnippets_anonDataRatings.txt").write_bytes("".join(single).encode())
    return folder


def form(raw: Path, out: Path, seed: int = 0) -> dict[str, Any]:
    return film_reviews.write_film_reviews(raw, out, seed=seed, train_pairs=150, test_pairs=40)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("film")
    form(write_raw(root / "raw", raw_rows()), root / "out")
    return root / "out"


def test_agreement_by_hand() -> None:
    # 3 > 1, 3 > 0, 1 = 1, 1 > 0, 2 > 1, 2 > 0: five wins and a tie of six pairs
    assert film_reviews.agreement([3, 1, 2], [1, 0]) == 5.5 / 6
    assert film_reviews.agreement([1], [1]) == 0.5


def test_a_negative_strength_speaks_for_the_first_candidate_s_rival() -> None:
    low, high = Snippet("a", "dull", (-1, -1), "test"), Snippet("b", "fine", (2, 2), "test")
    row = film_reviews.comparison(low, high)
    assert (row["chosen"], row["rejected"]) == (" fine", " dull")
    assert (row["strength"], row["margin"], row["agreement"]) == (-3.0, 0.375, 1.0)
    assert film_reviews.comparison(high, low)["strength"] == 3.0
    assert film_reviews.comparison(high, low)["chosen"] == " fine"


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("''Lilo &amp; Stitch'' is edgy ", '"Lilo & Stitch" is edgy'),
        ("Some visuals    and some boredom   too.", "Some visuals -- and some boredom -- too."),
        ("in an institution  acted by the people", "in an institution acted by the people"),
        ("'The Château' isn't ½ bad.", "'The Château' isn't ½ bad."),
    ],
)
def test_clean_undoes_the_publishers_tooling(raw: str, cleaned: str) -> None:
    assert film_reviews.clean(raw) == cleaned


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_every_row_keeps_the_contract(formed: Path, name: str, kind: Any) -> None:
    path = formed / f"{name}.jsonl"
    assert len(load_rows(path, kind)) == len(read(path))


def test_no_snippet_is_on_two_sides(formed: Path) -> None:
    def ids(name: str) -> set[str]:
        return {id_ for row in read(formed / f"{name}.jsonl") for id_ in row["group"].split(":")}

    reward, gold, test = ids("preference_train"), ids("preference_gold_train"), ids("preference_test")
    assert not reward & gold and not reward & test and not gold & test
    assert ids("sft_test") >= test and ids("sft_train") >= reward | gold
    assert not ids("sft_train") & ids("sft_test")
    assert len(ids("sft_train")) + len(ids("sft_test")) == SNIPPETS + 2
    assert 0.08 < len(ids("sft_test")) / SNIPPETS < 0.22


def test_near_duplicates_share_a_part(formed: Path) -> None:
    part = {row["id"]: row["part"] for row in read(formed / "ratings.jsonl")}
    assert part["twin of 0"] == part["0"]
    assert part["twin of 1"] == part["1"]


def test_comparisons_are_distinct_wide_enough_and_use_snippets_evenly(formed: Path) -> None:
    rows = read(formed / "preference_train.jsonl")
    assert len(rows) == 150
    assert len({frozenset(row["group"].split(":")) for row in rows}) == 150
    assert len({row["label_ids"][0] for row in rows}) == 150
    assert all(abs(row["strength"]) >= film_reviews.MIN_GAP for row in rows)
    assert all(row["margin"] == pytest.approx(abs(row["strength"]) / 8, abs=1e-4) for row in rows)
    uses = Counter(id_ for row in rows for id_ in row["group"].split(":"))
    assert max(uses.values()) - min(uses.values()) <= 3
    assert 0.3 < statistics.fmean(row["strength"] > 0 for row in rows) < 0.7


def test_the_chosen_one_is_the_one_rated_higher(formed: Path) -> None:
    mean = {row["text"]: row["mean"] for row in read(formed / "ratings.jsonl") if not row["id"].startswith("twin")}
    for row in read(formed / "preference_test.jsonl"):
        if "twin" not in row["group"]:
            gap = mean[row["chosen"].strip()] - mean[row["rejected"].strip()]
            assert gap == pytest.approx(abs(row["strength"]), abs=1e-3)


def test_prompts_are_the_first_words_and_none_is_on_both_sides(formed: Path) -> None:
    train = [row["prompt"] for row in read(formed / "prompts_train.jsonl")]
    test = [row["prompt"] for row in read(formed / "prompts_test.jsonl")]
    assert all(prompt.startswith("Film review: ") and len(prompt.split()) == 5 for prompt in train + test)
    assert len(set(train) | set(test)) == len(train) + len(test)


def test_a_snippet_that_ends_with_its_prompt_gives_none() -> None:
    three, four = Snippet("a", "A fun ride.", (1,), "test"), Snippet("b", "A fun ride indeed.", (1,), "test")
    assert film_reviews.prompts([three]) == []
    assert [row["prompt"] for row in film_reviews.prompts([three, four, four])] == ["Film review: A fun ride"]


def test_the_files_depend_on_content_and_seed_alone(formed: Path, tmp_path: Path) -> None:
    backwards = write_raw(tmp_path / "raw", raw_rows()[::-1])
    form(backwards, tmp_path / "again")
    form(backwards, tmp_path / "other", seed=1)

    def sums(folder: Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    assert sums(tmp_path / "again") == sums(formed)
    assert all(sums(tmp_path / "other")[name] != digest for name, digest in sums(formed).items())


def test_statistics_count_what_was_written(formed: Path, tmp_path: Path) -> None:
    facts = form(write_raw(tmp_path / "raw", raw_rows()), tmp_path / "out")
    assert facts["rows"] == {path.name: len(read(path)) for path in formed.iterdir()}
    assert sum(facts["snippets"].values()) == SNIPPETS + 2
    gaps = [abs(row["strength"]) for row in read(formed / "preference_test.jsonl")]
    assert facts["comparisons"]["preference_test"]["gap_median"] == pytest.approx(statistics.median(gaps), abs=1e-3)


def test_too_few_snippets_for_the_comparisons(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", raw_rows()[:30])
    with pytest.raises(DataError, match="150 were to be formed"):
        form(raw, tmp_path / "out")


def test_a_missing_raw_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="GroundTruth.txt: no such file"):
        form(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        ("7\t9.0\t0.0\t[9, 9]", "ratings outside"),
        ("7\t1.0\t0.0\t[2, 2]", "not of the stated mean 1.0"),
        ("7\t1.0\t0.0\t[]", "not of the stated mean"),
        ("7\t1.0\t0.0\tone", "unreadable ratings"),
        ("7\t1.0\t0.0", "expected 4 columns"),
        ("8\t1.0\t0.0\t[1]", "no ratings for 1 snippets, the first being 7"),
    ],
)
def test_raw_files_that_are_not_what_they_should_be(tmp_path: Path, ratings: str, expected: str) -> None:
    (tmp_path / "movieReviewSnippets_GroundTruth.txt").write_text("7\t1.0\tFine.\n")
    (tmp_path / "movieReviewSnippets_anonDataRatings.txt").write_text(ratings + "\n")
    with pytest.raises(DataError, match=expected):
        form(tmp_path, tmp_path / "out")


def test_another_general_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nytEditorialSnippets_GroundTruth.txt").write_text("1_1\t0.1\tNot the editorials.\n")
    with pytest.raises(DataError, match="not the one of checksum"):
        film_reviews.write_editorials(tmp_path, tmp_path / "out")
