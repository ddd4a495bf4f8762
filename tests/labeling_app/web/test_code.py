"""Code in responses: marked where its language is known, and text in any case."""

import pytest

from labeling_app.web.pages.code import LONGEST, code_html
from labeling_app.web.pages.render import text_html


def test_the_parts_of_code_are_marked() -> None:
    shown = text_html("```python\nreturn '<b>'  # no\n```")
    assert '<code class="language-python"><span class="code-k">return</span>' in shown
    assert "'&lt;b&gt;'" in shown and '<span class="code-c1"># no</span>' in shown and "<b>" not in shown


@pytest.mark.parametrize("language", ["", "no such language", 'python"><script>alert(1)</script>', "../../etc/passwd"])
def test_code_in_no_known_language_stays_as_it_is(language: str) -> None:
    shown = text_html(f"```{language}\nreturn <b>\n```")
    assert "return &lt;b&gt;" in shown and "code-k" not in shown and "<script" not in shown


def test_long_code_is_not_looked_at() -> None:
    assert code_html("x = 1\n", "python") and not code_html("x" * (LONGEST + 1), "python")


@pytest.mark.parametrize("language", ["python", "html", "markdown", "jinja", "bash", "c++", "json"])
def test_hostile_code_is_escaped_in_every_language(language: str) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} `</code></pre><b>`"
    shown = text_html(f"```{language}\n{hostile}\n```")
    assert "<script" not in shown and "<img" not in shown and "<b>" not in shown and shown.count("</code></pre>") == 1
