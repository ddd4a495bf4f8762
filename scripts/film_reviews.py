"""Form the default task's data sets from people's ratings of film-review snippets; see docs/film_reviews.md.

The raw files (UTF-8, tab-separated, no header) are those of Hutto & Gilbert (2014):

    movieReviewSnippets_GroundTruth.txt       id, mean rating, text
    movieReviewSnippets_anonDataRatings.txt   id, mean rating, standard deviation, every single rating as a list
    nytEditorialSnippets_GroundTruth.txt      id, mean rating, text

Every choice is taken by a checksum of content and seed, so that the files come out the same, to the byte, on any
machine and under any version of Python.
"""

import hashlib
import html
import json
import re
import statistics
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf.data.split import is_held_out
from rlhf.errors import DataError
from rlhf.runs import file_sha256

PROMPT = "Film review:"
SOURCE = "vaderSentiment 0.5, hutto_ICWSM_2014, movieReviewSnippets"
SCALE = (-4, 4)
HELD_OUT = 0.15
MIN_GAP = 0.5
PROMPT_WORDS = 3
TRAIN_PAIRS = 8_000
TEST_PAIRS = 2_400
MAX_ROUNDS = 50
# Perplexities on the general text can be compared only as long as the text is the same, to the byte.
EDITORIALS_SHA256 = "1887c0c7bbaa015817fda0ff44e70e422092ad763f70b32df4084e899ea729f8"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/cjhutto/vaderSentiment#movieReviewSnippets")


@dataclass(frozen=True)
class Snippet:
    """A text and what each of its raters gave it, from -4 (extremely negative) to 4 (extremely positive)."""

    id: str
    text: str
    ratings: tuple[int, ...]
    part: str  # "reward" and "gold" are the halves of the train part; "test" is held out

    @property
    def mean(self) -> float:
        return statistics.fmean(self.ratings)

    @property
    def split(self) -> str:
        return "test" if self.part == "test" else "train"


def write_film_reviews(
    raw: Path, folder: Path, *, seed: int = 0, train_pairs: int = TRAIN_PAIRS, test_pairs: int = TEST_PAIRS
) -> dict[str, Any]:
    """Write every file of the film task from the raw files in `raw`; returns the statistics for the provenance.

    Args:
        raw: the folder of the raw files.
        folder: where to write.
        seed: another seed gives another split and other pairs.
        train_pairs: comparisons among each half of the train part.
        test_pairs: comparisons among the held-out part.

    Raises:
        DataError: a raw file is missing or isn't what is described above.
    """
    snippets = read_snippets(raw, seed)
    parts = {part: [s for s in snippets if s.part == part] for part in ("reward", "gold", "test")}
    train = [s for s in snippets if s.split == "train"]
    comparisons = {
        "preference_train": compare(parts["reward"], train_pairs, seed),
        "preference_gold_train": compare(parts["gold"], train_pairs, seed),
        "preference_test": compare(parts["test"], test_pairs, seed),
    }
    prompts_test = prompts(parts["test"])
    held_out = {row["prompt"] for row in prompts_test}
    files: dict[str, list[dict[str, Any]]] = {
        "sft_train": [sft_row(s) for s in train],
        "sft_test": [sft_row(s) for s in parts["test"]],
        **comparisons,
        "prompts_train": [row for row in prompts(train) if row["prompt"] not in held_out],
        "prompts_test": prompts_test,
        "ratings": [rating_row(s) for s in snippets],
    }
    for name, rows in files.items():
        write_jsonl(folder / f"{name}.jsonl", rows)
    return {
        "seed": seed,
        "rows": {f"{name}.jsonl": len(rows) for name, rows in files.items()},
        "snippets": {part: len(members) for part, members in parts.items()},
        "single_ratings": sum(len(s.ratings) for s in snippets),
        "comparisons": {name: describe(rows) for name, rows in comparisons.items()},
    }


def write_editorials(raw: Path, folder: Path) -> dict[str, Any]:
    """Write the general text, in the order of the raw file; returns the statistics for the provenance.

    Raises:
        DataError: the text isn't the one that earlier figures were measured on.
    """
    texts = [clean(text) for _, _, text in read_table(raw / "nytEditorialSnippets_GroundTruth.txt", 3)]
    path = folder / "editorials.jsonl"
    write_jsonl(path, ({"text": text} for text in texts))
    if file_sha256(path) != EDITORIALS_SHA256:
        raise DataError(
            f"{path}: the general text is not the one of checksum {EDITORIALS_SHA256}.",
            remedy="Where `clean` was changed on purpose, state the new checksum, and measure every perplexity anew.",
        )
    return {"rows": {"editorials.jsonl": len(texts)}}


# Reading


def read_snippets(raw: Path, seed: int) -> list[Snippet]:
    """All snippets in the order of their keys, which is a random one, each with the part it belongs to."""
    texts = read_table(raw / "movieReviewSnippets_GroundTruth.txt", 3)
    ratings_file = raw / "movieReviewSnippets_anonDataRatings.txt"
    ratings = {row[0]: parse_ratings(ratings_file, row) for row in read_table(ratings_file, 4)}
    unrated = [row[0] for row in texts if row[0] not in ratings]
    if unrated:
        raise DataError(f"{ratings_file}: no ratings for {len(unrated)} snippets, the first being {unrated[0]}.")
    snippets = []
    for id_, _, text in texts:
        text = clean(text)
        snippets.append(Snippet(id_, text, ratings[id_], part_of(text, seed)))
    return sorted(snippets, key=lambda s: key(seed, "order", s.text, s.id))


def read_table(path: Path, columns: int) -> list[list[str]]:
    """The lines of a tab-separated file; every line must have that number of columns."""
    if not path.is_file():
        raise DataError(f"{path}: no such file.", remedy="Run scripts/fetch_assets.py, which unpacks the raw files.")
    # Not splitlines(), which would also break lines at the rarer line separators of Unicode.
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = [line.rstrip("\r").split("\t") for line in lines if line.strip()]
    problems = [f"row {n}: {len(row)} columns" for n, row in enumerate(rows, 1) if len(row) != columns]
    if problems or not rows:
        raise DataError(f"{path}: expected {columns} columns in every row.", problems=problems or ["no rows"])
    return rows


def parse_ratings(path: Path, row: Sequence[str]) -> tuple[int, ...]:
    """The single ratings of a row; their mean must be the one that the row states."""
    try:
        ratings = tuple(int(rating) for rating in json.loads(row[3]))
        stated = float(row[1])
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: snippet {row[0]}: unreadable ratings {row[3]!r}.") from error
    in_scale = all(SCALE[0] <= rating <= SCALE[1] for rating in ratings)
    if not ratings or not in_scale or abs(statistics.fmean(ratings) - stated) > 1e-6:
        raise DataError(f"{path}: snippet {row[0]}: ratings outside {SCALE}, or not of the stated mean {stated}.")
    return ratings


def clean(text: str) -> str:
    """Undo what the publishers' tooling did to the text, and nothing else.

    `&amp;` is an ampersand and two apostrophes are a quotation mark. Hyphens were replaced by blanks in the film
    snippets, so that three or four blanks are a dash; a hyphen within a word stays lost.
    """
    text = html.unescape(text).replace("''", '"')
    return re.sub(r"\s+", " ", re.sub(r" {3,}", " -- ", text)).strip()


# Choosing by checksum


def key(seed: int, *content: str) -> str:
    """A checksum of seed and content: sorting by it shuffles, the same way everywhere."""
    return hashlib.sha256("\x1f".join((str(seed), *content)).encode()).hexdigest()


def group_of(text: str) -> str:
    """What near-duplicates have in common: the words, without case and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def part_of(text: str, seed: int) -> str:
    """The part that a text belongs to; near-duplicates fall into the same one."""
    group = group_of(text)
    if is_held_out(group, fraction=HELD_OUT, seed=seed):
        return "test"
    return "reward" if is_held_out(f"half {group}", fraction=0.5, seed=seed) else "gold"


# Rows


def sft_row(snippet: Snippet) -> dict[str, Any]:
    return {"prompt": PROMPT, "completion": f" {snippet.text}", "source": SOURCE, "group": snippet.id}


def rating_row(snippet: Snippet) -> dict[str, Any]:
    return {
        "id": snippet.id,
        "text": snippet.text,
        "mean": round(snippet.mean, 4),
        "ratings": list(snippet.ratings),
        "split": snippet.split,
        "part": snippet.part,
    }


def prompts(snippets: Iterable[Snippet]) -> list[dict[str, Any]]:
    """The instruction and the first words of each snippet that goes on after them; every prompt once."""
    rows = {}
    for snippet in snippets:
        words = snippet.text.split()
        if len(words) > PROMPT_WORDS:
            prompt = " ".join([PROMPT, *words[:PROMPT_WORDS]])
            rows.setdefault(prompt, {"prompt": prompt, "source": SOURCE, "group": prompt})
    return list(rows.values())


def compare(snippets: Sequence[Snippet], count: int, seed: int) -> list[dict[str, Any]]:
    """`count` comparisons of random pairs whose means lie at least `MIN_GAP` apart.

    The snippets are shuffled and paired off, round after round, so that each is used about equally often. Nothing is
    chosen but the gap: within it, pairs are as random ones fall.

    Raises:
        DataError: there are too few snippets for that many different pairs.
    """
    rows: dict[frozenset[str], dict[str, Any]] = {}
    for first, second in _pairs(snippets, seed):
        pair = frozenset((first.id, second.id))
        if pair in rows or first.text == second.text:
            continue
        if abs(first.mean - second.mean) >= MIN_GAP:
            rows[pair] = comparison(first, second)
            if len(rows) == count:
                return list(rows.values())
    raise DataError(f"{len(snippets)} snippets give {len(rows)} comparisons; {count} were to be formed.")


def _pairs(snippets: Sequence[Snippet], seed: int) -> Iterator[tuple[Snippet, Snippet]]:
    """Shuffle and pair off, `MAX_ROUNDS` times; which one comes first is random too."""
    for round_ in range(MAX_ROUNDS):
        order = sorted(snippets, key=lambda s: key(seed, f"round {round_}", s.text, s.id))
        yield from zip(order[::2], order[1::2], strict=False)


def comparison(first: Snippet, second: Snippet) -> dict[str, Any]:
    """The row for a pair; `first` is its first stored candidate, so that a negative strength speaks for the other one.

    The scale runs from -4 to 4, hence no two means are more than 8 apart: a margin of 1 is that distance.
    """
    strength = first.mean - second.mean
    chosen, rejected = (first, second) if strength > 0 else (second, first)
    return {
        "prompt": PROMPT,
        "chosen": f" {chosen.text}",
        "rejected": f" {rejected.text}",
        "strength": round(strength, 4),
        "margin": round(abs(strength) / (SCALE[1] - SCALE[0]), 4),
        "agreement": round(agreement(chosen.ratings, rejected.ratings), 4),
        "label_ids": [str(uuid.uuid5(NAMESPACE, f"{first.id}:{second.id}"))],
        "source": SOURCE,
        "group": f"{first.id}:{second.id}",
    }


def agreement(chosen: Sequence[int], rejected: Sequence[int]) -> float:
    """The share of pairs of single ratings in which the chosen one's is higher, ties counted half.

    The raters have no ids, so that one rater's two ratings can't be paired; every pair is counted instead.
    """
    wins = sum((a > b) + 0.5 * (a == b) for a in chosen for b in rejected)
    return wins / (len(chosen) * len(rejected))


def describe(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Counts and quantiles of a set of comparisons."""
    gaps = sorted(abs(row["strength"]) for row in rows)
    agreements = sorted(row["agreement"] for row in rows)
    return {
        "rows": len(rows),
        "gap_median": round(statistics.median(gaps), 3),
        "gap_min": round(gaps[0], 3),
        "gap_max": round(gaps[-1], 3),
        "first_chosen_share": round(statistics.fmean(row["strength"] > 0 for row in rows), 3),
        "agreement_mean": round(statistics.fmean(agreements), 3),
        "agreement_p05": round(agreements[len(agreements) // 20], 3),
        "agreement_median": round(statistics.median(agreements), 3),
    }


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
