"""Code in prompts and responses, marked by what its parts are. Pygments tells them apart, `code.css` colours them."""

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

LONGEST = 10_000  # characters; beyond, code is shown as it is
FORMATTER = HtmlFormatter(nowrap=True, classprefix="code-")


def code_html(code: str, language: str, attributes: str = "") -> str:
    """The inside of a code block as HTML, or nothing where the language isn't known or the code is too long.

    Args:
        language: as a fence names it.
        attributes: what else stands behind the fence; it is ignored.
    """
    if len(code) > LONGEST:
        return ""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return ""
    return str(highlight(code, lexer, FORMATTER))
