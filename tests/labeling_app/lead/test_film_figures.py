"""Every coefficient of the dashboard, of labels that were drawn from people's real ratings of film reviews."""

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from labeling_app.lead.figures import dashboard
from labeling_app.store import Database
from tests.film_ratings import drawn_comparisons, fetched
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_project, add_items, people, some_items

PAIRS, RATERS = 150, 3


@pytest.mark.slow
def test_every_coefficient_is_an_independent_librarys(
    sqlite_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    strengths = drawn_comparisons(fetched(tmp_path_factory.mktemp("assets")), PAIRS, RATERS).astype(int)
    project = a_project(sqlite_database, overlap=RATERS)
    items, users = add_items(sqlite_database, project, some_items(PAIRS)), people(sqlite_database, RATERS)
    for item, row in zip(items, strengths.tolist(), strict=True):
        for user, strength in zip(users, row, strict=True):
            judge(sqlite_database, item, user, choice(strength))
    found = dashboard(sqlite_database, None, project)
    told, sides, values = found.coefficients, np.sign(strengths), list(range(-3, 4))

    def alpha(data: np.ndarray, domain: list[int], metric: object) -> float:
        return float(krippendorff.alpha(reliability_data=data.T, value_domain=domain, level_of_measurement=metric))

    def kappa(data: np.ndarray, domain: list[int], metric: object) -> float:
        # Of equally many ratings of each item Fleiss' kappa is alpha, but for how chance is drawn: with replacement.
        return 1 - (1 - alpha(data, domain, metric)) * data.size / (data.size - 1)

    couples = [(0, 1), (0, 2), (1, 2)]
    expected = {
        "raw": np.mean([(sides[:, a] == sides[:, b]).mean() for a, b in couples]),
        "fleiss": kappa(sides, [-1, 0, 1], "nominal"),
        "linear": kappa(strengths, values, lambda one, other, **_: np.abs(one - other)),
        "quadratic": kappa(strengths, values, "interval"),
        "nominal": alpha(sides, [-1, 0, 1], "nominal"),
        "ordinal": alpha(strengths, values, "ordinal"),
        "interval": alpha(strengths, values, "interval"),
    }
    for name, value in expected.items():
        one = getattr(told, name)
        assert one.value == pytest.approx(value, abs=1e-9), name
        assert one.interval.low < value < one.interval.high and 0.1 < value < 0.9, name
    for (a, b), couple in zip(couples, found.couples, strict=True):
        assert (couple.first, couple.second) == (users[a], users[b])
        first, second = strengths[:, a], strengths[:, b]
        assert couple.kappa.value == pytest.approx(cohen_kappa_score(sides[:, a], sides[:, b]), abs=1e-9)
        for weights in ("linear", "quadratic"):
            by_library = cohen_kappa_score(first, second, weights=weights, labels=values)
            assert getattr(couple, weights).value == pytest.approx(by_library, abs=1e-9)
