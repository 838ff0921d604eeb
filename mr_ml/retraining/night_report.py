"""The report of a night, in the folder of its run: whatever came of the night, and never at its cost."""

from __future__ import annotations

from hdfs_layout import Root
from mr_ml.errors import MrMlError


def write_report(root: Root, run: str) -> dict[str, str]:
    """Write the report of a run into its folder, whole or not at all, in place of an earlier one.

    Returns
    -------
    dict
        An event: the file's address, or, as `failed`, why there is none.
    """
    try:
        # takes a while to load, and may lack what fills in the page
        from mr_ml.reports.facts import find_facts
        from mr_ml.reports.page import page

        path = root.layout.run_report(run)
        root.store.write(path, page(find_facts(root, run)).encode("utf-8"))
    except Exception as error:
        # a defect too: what the night was for is done
        return {"failed": str(error) if isinstance(error, MrMlError | OSError) else f"{type(error).__name__}: {error}"}
    return {"file": root.store.uri(path)}


def find_report(root: Root, run: str) -> str | None:
    """Return the address of the report of a run; None if there is none, or it cannot be seen."""
    path = root.layout.run_report(run)
    try:
        return root.store.uri(path) if root.store.exists(path) else None
    except MrMlError:
        return None
