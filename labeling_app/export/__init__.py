"""Labels as training data: a folder of files, or a source that recipes read directly."""

from labeling_app.export.labels import export_labels
from labeling_app.export.options import ExportOptions, ExportReport
from labeling_app.export.source import open_labels

__all__ = ["ExportOptions", "ExportReport", "export_labels", "open_labels"]
