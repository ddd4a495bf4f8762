"""Every single rating of the film reviews, by real people, and comparisons drawn from them by a rule."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def fetched(folder: Path) -> list[list[int]]:
    """All single ratings of the film reviews, -4 … 4, one list for each snippet; fetched from the package index."""
    script = Path(__file__).parents[1] / "scripts" / "fetch_assets.py"
    program = (
        f"import sys; sys.path.insert(0, {str(script.parent)!r}); import fetch_assets; from pathlib import Path; "
        f"fetch_assets.bring(Path({str(folder)!r}), [p for p in fetch_assets.PARTS if p.name == 'film_reviews'])"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=250)
    lines = (folder / "film_reviews" / "ratings.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["ratings"] for line in lines]


def drawn_comparisons(ratings: Sequence[Sequence[int]], pairs: int, raters: int) -> np.ndarray:
    """Pairwise labels [pairs, raters], strengths -3 … 3, DRAWN from real ratings, not given by anybody.

    The rule: two snippets are drawn, and for each rater one rating of each; the strength is the second less the first,
    halved, rounded to the even number where it lies between two, and cut to -3 … 3.
    """
    draw = random.Random(0)
    labels = []
    for _ in range(pairs):
        first, second = draw.sample(ratings, 2)
        labels.append([max(-3, min(3, round((draw.choice(second) - draw.choice(first)) / 2))) for _ in range(raters)])
    return np.array(labels, dtype=float)
