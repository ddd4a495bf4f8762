"""The components of the labeling page, a module for each part of it. Layout only: `labeling_app.web.pages.events` gives
them their events, `labeling_app/web/static/annotate/` their keys."""
