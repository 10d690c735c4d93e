"""A run's figures for an experiment tracker that is installed: TensorBoard (it comes with LLaMA-Factory) or Trackio."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from callwright.errors import UserError
from eval.reporting.section import Section

TRACKERS = ("tensorboard", "trackio")


def log_figures(tracker: str, out: Path, sections: Sequence[Section]) -> None:
    """Log each figure of each set of cases as `golden/f1` into the run folder.

    Raises:
        UserError: the tracker is not installed.
    """
    figures: dict[str, float] = {}
    for section in sections:
        for row in section.rows:
            value, _ = row.cells[-1]
            if row.key and value is not None:
                figures[f"{section.name}/{row.key}"] = value
    os.environ["TRACKIO_DIR"] = str((out / "trackio").resolve())  # read when it is imported
    try:
        tracking = import_module({"tensorboard": "tensorboard.summary"}.get(tracker, tracker))
    except ModuleNotFoundError as error:
        raise UserError(f"--log {tracker}", f"{error.name} is not installed", f"pip install {tracker}") from None
    if tracker == "trackio":
        tracking.init(project="callwright", name=out.name, embed=False)
        tracking.log(figures)
        tracking.finish()
    else:
        writer = tracking.Writer(str(out / "tensorboard"))
        for name, value in figures.items():
            writer.add_scalar(name, value, 0)
        writer.close()
