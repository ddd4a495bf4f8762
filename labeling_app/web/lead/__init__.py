"""The lead's pages, under /lead: HTML forms, which work without a script and have addresses of their own.

application.py  the application that is mounted there, and who it lets in
registry.py     which pages there are: a page is a module here, a template, and a line there
frame.py        what all pages share: who asks, the layout, errors, "done"
fields.py       what a form brings
flash.py        the one line that is said after a redirect
the others      a page each, named like its template
"""

from labeling_app.web.lead.application import lead_pages

__all__ = ["lead_pages"]
