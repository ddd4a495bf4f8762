"""Figures that fit into a page: its colours, its typeface, no text that turns into markup."""

import xml.etree.ElementTree as ElementTree

from rlhf.evaluation import svg


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
