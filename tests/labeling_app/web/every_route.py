"""Every route of the application, as it says itself: python -m tests.labeling_app.web.every_route DATABASE_URL

In a process of its own: Gradio leaves event loops behind.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
ANY_METHOD = ("GET", "POST")


def routes_of(url: str) -> list[tuple[str, str]]:
    """(method, path with its parameters in braces) of all that the application on this store answers."""
    command = [sys.executable, "-m", "tests.labeling_app.web.every_route", url]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return [(method, path) for method, path in json.loads(done.stdout.splitlines()[-1])]


def filled(path: str, values: dict[str, str]) -> str:
    """A path whose parameters hold these values, or 1."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: values.get(found[1], "1"), path)


def _walk(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        included = getattr(route, "original_router", None)
        below = getattr(getattr(route, "app", None), "routes", None)
        if included is not None:  # FastAPI's own way to hold a router that was included
            yield from _walk(included.routes, prefix + route.include_context.prefix)
        elif below is not None:
            yield from _walk(below, prefix + route.path)
        else:
            methods = getattr(route, "methods", None)
            path = prefix + route.path + ("" if methods else "/{path:path}")
            yield from ((method, path) for method in sorted(methods or ANY_METHOD))


def main(url: str) -> None:
    from labeling_app.store import Database
    from labeling_app.web.server import create_app

    app = create_app(Database(url), host="127.0.0.1", port=1)
    sys.stdout.write(json.dumps(sorted(set(_walk(app.routes)))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
