"""How far a run is."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from .workspace import Workspace, write_whole

if TYPE_CHECKING:
    from pathlib import Path

ODM_SHARE, ARCHIVING, ARCHIVED = 0.9, 93.0, 97.0
"""Of the whole, as NodeODM has it: ODM's own part, and where its archive begins and ends."""
STAGE_ENDS = {
    "dataset": 5.0, "opensfm": 25.0, "openmvs": 50.0, "odm_filterpoints": 52.0, "odm_meshing": 60.0,
    "mvs_texturing": 70.0, "odm_georeferencing": 80.0, "odm_dem": 90.0, "odm_orthophoto": 98.0,
    "odm_report": 99.0, "odm_postprocess": 100.0,
}  # fmt: skip
"""ODM's progress at the end of each stage; splitting has no fixed share."""
_STAGE = re.compile(r"\b(Running|Finished) (\w+) stage")


class Status:
    """How far the run is, for whoever reads ``status.json``."""

    def __init__(self, workspace: Workspace, progress_file: Path | None) -> None:
        self._path = workspace.status
        self._progress_file = progress_file
        self.percent, self.stage, self.peak_memory_bytes = 0.0, "", 0
        self.exit_code: int | None = None
        self.message: str | None = None
        self.finished = False
        self.is_done = False
        """Whether an earlier start came to a good end."""
        self._saved = ""
        with suppress(OSError, ValueError, AttributeError):
            before = json.loads(self._path.read_bytes())
            self.percent = float(before.get("percent", 0))
            self.peak_memory_bytes = int(before.get("peak_memory_bytes", 0))
            self.is_done = before.get("finished") is True and before.get("exit_code") == 0

    def advance(self, percent: float, stage: str = "") -> None:
        """Go on, never back."""
        self.percent = max(self.percent, round(min(percent, 100.0), 2))
        self.stage = stage or self.stage

    def begin(self) -> None:
        """Say that another run is under way, unless there is nothing left to do."""
        if not self.is_done:
            self.save()

    def save(self) -> None:
        """Write what has changed."""
        names = ("percent", "stage", "exit_code", "message", "peak_memory_bytes", "finished")
        text = json.dumps({name: getattr(self, name) for name in names})
        if text == self._saved:
            return
        self._saved = text
        write_whole(self._path, text)
        if self._progress_file:
            with suppress(OSError):
                self._progress_file.write_text(f"{int(self.percent)}/100")


def stage_of(line: str) -> tuple[str, float] | None:
    """Return the stage that a line of ODM's console tells of, if it does, and ODM's progress then."""
    found = _STAGE.search(line)
    if found is None:
        return None
    stage = found.group(2)
    ends = [0.0, *STAGE_ENDS.values()]
    if stage not in STAGE_ENDS:
        return stage, 0.0
    place = list(STAGE_ENDS).index(stage)
    return stage, ends[place + (found.group(1) == "Finished")]
