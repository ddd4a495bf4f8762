"""Figures that fit into a page: its colours, its typeface, no text that turns into markup."""

import xml.etree.ElementTree as ElementTree

import pytest

from rlhf import svg


def draw(title, label="d"):
    with svg.figure(3, 2) as (drawing, axes):
        axes.plot([0, 1], [1, 2], "o", color=svg.SERIES[0])
        axes.set(title=title)
        return svg.to_svg(drawing, "one", label)


def test_colours_and_typeface_come_from_the_page():
    text = draw("A title")
    for color in svg.VARIABLES:
        assert color not in text
    assert "var(--series-1)" in text
    assert "var(--sans)" in text
    assert "DejaVu" not in text
    assert "<style" not in text


def test_markup_and_formulas_in_a_label_stay_text():
    root = ElementTree.fromstring(draw('<script>x</script> & $x^2$ "quoted"', '<b> & "d"'))
    assert root.get("aria-label") == '<b> & "d"'
    assert '<script>x</script> & $x^2$ "quoted"' in "".join(root.itertext())
    assert not [element for element in root.iter() if element.tag.endswith("script")]


def test_the_same_figure_is_the_same_text():
    assert draw("A title") == draw("A title")


def test_a_title_and_a_description_are_read_out_and_stay_text():
    with svg.figure(3, 2) as (drawing, axes):
        axes.plot([0, 1], [1, 2])
        root = ElementTree.fromstring(svg.to_svg(drawing, "two", 'says <b> & "d"', title="<Title>"))
    first, second = list(root)[:2]
    assert (first.tag.split("}")[1], first.text, second.tag.split("}")[1], second.text) == (
        "title",
        "<Title>",
        "desc",
        'says <b> & "d"',
    )
    assert root.get("aria-labelledby") == first.get("id") and root.get("aria-describedby") == second.get("id")
    assert root.get("role") == "img" and root.get("aria-label") is None


def test_bars_begin_at_zero():
    with svg.figure(3, 2) as (_, axes):
        svg.bars(axes, [1, 2, 4], [3, 0, 5], svg.SERIES[0])
        assert [(bar.get_x() + bar.get_width() / 2, bar.get_y(), bar.get_height()) for bar in axes.patches] == [
            (pytest.approx(1), 0, 3),
            (pytest.approx(2), 0, 0),
            (pytest.approx(4), 0, 5),
        ]
        assert axes.get_ylim()[0] == 0


def test_a_band_lies_where_there_are_limits():
    with svg.figure(3, 2) as (_, axes):
        svg.line_with_band(axes, [1, 2, 3], [0.5, 0.6, 0.7], [(0.4, 0.6), None, (0.6, 0.9)], svg.SERIES[0])
        (line,), (band,) = axes.lines, axes.collections
        assert line.get_xydata().tolist() == [[1, 0.5], [2, 0.6], [3, 0.7]]
        extent = band.get_datalim(axes.transData)
        assert (extent.x0, extent.y0, extent.x1, extent.y1) == (1, 0.4, 3, 0.9)
        svg.line_with_band(axes, [1], [0.5], [None], svg.SERIES[1])
        assert len(axes.collections) == 1


def test_the_first_of_the_dots_is_on_top():
    with svg.figure(3, 2) as (_, axes):
        svg.dots_with_intervals(axes, ["ana", "ben"], [0.2, 0.8], [(0.1, 0.4), None], svg.SERIES[0])
        assert [line.get_xydata().tolist() for line in axes.lines] == [
            [[0.1, 1], [0.4, 1]],
            [[0.2, 1]],
            [[0.8, 0]],
        ]
        ticks = {
            int(place): label.get_text() for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        }
        assert ticks == {1: "ana", 0: "ben"}
