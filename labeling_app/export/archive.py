"""An export as one file, for a browser. Nothing of it stays on the disk."""

import tempfile
import zipfile
from pathlib import Path
from typing import IO

from labeling_app.errors import Unavailable
from labeling_app.export.labels import export_labels
from labeling_app.export.options import ExportOptions, ExportReport
from labeling_app.store import Database

FOLDER = "labels"


def export_archive(
    database: Database, actor_id: int | None, project_id: int, options: ExportOptions
) -> tuple[IO[bytes], ExportReport]:
    """A ZIP file of the folder that `export_labels` writes, opened at its beginning, and gone when it is closed.

    Raises:
        NotAllowed, NotFound: as everywhere.
        Unavailable: there is no room for it.
    """
    try:
        archive = tempfile.TemporaryFile(prefix="labeling-export-")  # noqa: SIM115, the caller closes it
        try:
            report = _pack(database, actor_id, project_id, options, archive)
        except BaseException:
            archive.close()
            raise
        return archive, report
    except OSError as error:
        remedy = "make room in the server's folder for temporary files."
        raise Unavailable(f"The export can't be written: {error.strerror}.", remedy=remedy) from error


def _pack(
    database: Database, actor_id: int | None, project_id: int, options: ExportOptions, archive: IO[bytes]
) -> ExportReport:
    with tempfile.TemporaryDirectory(prefix="labeling-export-") as folder:
        report = export_labels(database, actor_id, project_id, Path(folder) / FOLDER, options)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=5) as packed:
            for file in sorted(report.folder.iterdir()):
                packed.write(file, f"{FOLDER}/{file.name}")
    archive.seek(0)
    return report
