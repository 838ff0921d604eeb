"""Progress as bars at the bottom of a terminal, drawn by rich; they go when the work is done."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from mr_ml import interrupts
from mr_ml.cli import printable
from mr_ml.progress import Listener, PassEnded, Stage
from mr_ml.progress_text import amount_text, left_text, rate_text, seconds_text, share_of

if TYPE_CHECKING:
    from rich.console import RenderableType

# Below this width there is no room for a bar.
_ROOM_FOR_BARS = 60
_BAR_WIDTH = 24
# Left free: what a terminal echoes of Ctrl-C must not begin a line.
_ECHO_WIDTH = 3
_PER_SECOND = 8
# Outermost ones, of stages within stages.
_MOST_STAGES = 3


class Bars(Listener):
    """Draws stages that go on, while there are any; what is printed meanwhile stands above them."""

    hears_stages = True

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console

        self._console = Console(file=sys.stderr, highlight=False) if console is None else console
        self._stages: list[Stage] = []
        self._lock = threading.RLock()
        self._live: Any = None
        self._last_pass: PassEnded | None = None

    def started(self, stage: Stage) -> None:
        """See `Listener.started`."""
        from rich.live import Live

        with self._lock:
            self._stages.append(stage)
            live = None
            if self._live is None:
                live = self._live = Live(
                    console=self._console, get_renderable=self.drawn, refresh_per_second=_PER_SECOND, transient=True,
                    redirect_stdout=False, vertical_overflow="crop",
                )  # fmt: skip
        if live is not None:
            live.start()

    def pass_ended(self, ended: PassEnded) -> None:
        """See `Listener.pass_ended`."""
        self._last_pass = ended

    def finished(self, stage: Stage) -> None:
        """See `Listener.finished`."""
        with self._lock:
            self._stages.remove(stage)
            live = None
            if not self._stages:
                live, self._live, self._last_pass = self._live, None, None
        if live is not None:
            live.stop()

    def close(self) -> None:
        """Draw nothing more."""
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            live.stop()

    def drawn(self) -> RenderableType:
        """Return what is to be seen now."""
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            stages = list(self._stages)
        # of many that lie within each other: the outer ones, and where the work is
        shown = [*stages[: _MOST_STAGES - 1], *stages[_MOST_STAGES - 1 :][-1:]]
        asked = [Text(interrupts.ASKED, overflow="fold")] if interrupts.is_asked() else []
        return Group(*(self._line(stage, depth) for depth, stage in enumerate(shown)), *asked)

    def _line(self, stage: Stage, depth: int) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        share = share_of(stage)
        name = Text(printable("  " * depth + stage.name), no_wrap=True, overflow="ellipsis")
        # what matters most comes first: in narrow terminals the rest is cut off
        facts = [left_text(stage) or seconds_text(stage.seconds), rate_text(stage), amount_text(stage), stage.detail]
        if stage.unit == "passes" and depth == 0 and self._last_pass is not None:
            facts = [_pass_words(self._last_pass), seconds_text(stage.seconds)]
        said = Text(printable("  ".join(filter(None, facts))), no_wrap=True, overflow="ellipsis")
        line = Table.grid(padding=(0, 1), expand=True)
        line.width = max(self._console.width - _ECHO_WIDTH, 1)
        line.add_column(no_wrap=True, overflow="ellipsis", min_width=min(len(name), 16))
        cells: list[RenderableType] = [name]
        if share is not None:
            if self._console.width >= _ROOM_FOR_BARS:
                line.add_column(width=_BAR_WIDTH)
                cells.append(ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH))
            line.add_column(width=4, justify="right")
            cells.append(Text(f"{100 * share:.0f}%"))
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        line.add_row(*cells, said)
        return line


def _pass_words(ended: PassEnded) -> str:
    towards = "" if ended.tolerance is None else f" to {ended.tolerance:.0e}"
    return f"pass {ended.number}  |gradient| {ended.gradient_norm:.1e}{towards}  {ended.seconds:.2g} s/pass"
