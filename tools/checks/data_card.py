"""Draw a dataset card: README.md with tables and pictures."""

import html
import logging
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from callwright.config import DataConfig
from callwright.files import read_jsonl, write_text, writing
from callwright.records import Example, Seed
from callwright.tasks import STARTER, WRITTEN, authors

if TYPE_CHECKING:
    from tools.checks.audit import Data, Findings

TEMPLATE = Path(__file__).with_name("data_card.md.j2")
FONTS = ("Noto Sans CJK", "Noto Sans TC", "PingFang", "Microsoft JhengHei", "Heiti", "WenQuanYi", "Source Han Sans")
"""Families that write Chinese, on one system or another; labels that no font can write stay boxes."""


def cell(text: str) -> str:
    """Write any text as the inside of a Markdown table's cell, shown as it is."""
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def plot_findings(findings: "Findings", folder: Path) -> None:
    """Plot baseline.png and coverage.png."""
    import matplotlib

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # fonts of other weights than asked for
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    family = sorted(name for name in known if name.startswith(FONTS) and "Serif" not in name)[:1]
    scores = {f"{side} (n={score.lines})": score for side, score in findings.scores.items()}
    columns = sorted({kind for _, _, kind in findings.cells})
    rows = list(dict.fromkeys((lang, register) for lang, register, _ in findings.cells))

    def ink(count: int) -> str:
        return "white" if count > 6 else "black" if count else "red"

    def grid(axes: Any) -> None:
        counts = [[findings.cells[lang, register, kind] for kind in columns] for lang, register in rows]
        axes.imshow([[min(count, 10) for count in row] for row in counts], cmap="YlGn", aspect="auto")
        axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
        axes.set_yticks(range(len(rows)), [" ".join(row) for row in rows])
        for y, row in enumerate(counts):
            for x, count in enumerate(row):
                axes.text(x, y, count or "–", ha="center", va="center", color=ink(count), fontsize=7)
        axes.set_title("train lines of each language, register and kind")

    def bars(axes: Any) -> None:
        values = [score.f1 for score in scores.values()]
        spans = list(zip(*((score.f1 - score.low, score.high - score.f1) for score in scores.values()), strict=True))
        axes.bar(list(scores), values, yerr=spans, capsize=4, color="#4a7ba6", label="character n-grams, 95% interval")
        axes.plot(list(scores), [score.always for score in scores.values()], "k_", markersize=40, label="always call")
        axes.set(ylim=(0, 1), ylabel="F1 of call")
        axes.figure.legend(loc="outside lower center", ncols=2, markerscale=0.4, frameon=False)

    with TemporaryDirectory(dir=folder) as made, plt.rc_context({"font.family": [*family, "DejaVu Sans"]}):
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        for name, height, paint in (("baseline", 3.6, bars), ("coverage", 2 + len(rows) / 4, grid)):
            figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
            paint(axes)
            figure.savefig(Path(made) / f"{name}.png", dpi=110)
            plt.close(figure)
            (Path(made) / f"{name}.png").replace(folder / f"{name}.png")


def source(example: Example) -> str:
    """Say where a line comes from: its source, and of seeds whether `make new` or a model made the one it descends from."""
    made = (
        "starter" if example.lineage.startswith(STARTER) else "written" if example.lineage.startswith(WRITTEN) else ""
    )
    return f"{made} seed" if made and example.source == "seed" else example.source


def wrote(lines: Sequence[Seed], what: str) -> str:
    """Say who wrote these lines, as a sentence, such as: People wrote 20 seeds."""
    said = {"people": "people wrote", "starter": "`make new` made up", "model": "a large model wrote"}
    parts = [f"{said[who]} {count}" for who, count in authors(lines).items()]
    text = "; ".join([f"{parts[0]} {what}", *parts[1:]]) if parts else f"there are no {what}"
    return f"{text[0].upper()}{text[1:]}."


def write_card(config: DataConfig, data: "Data", findings: "Findings", gates: list[tuple[str, bool]]) -> Path:
    """Write data/work/<task>/card/, README.md last; return its path."""
    import jinja2

    folder = config.work / "card"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        plot_findings(findings, folder)
    dropped = config.work / "dropped.jsonl"
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701  # Markdown
    environment.filters["cell"] = cell
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        config=config,
        data=data,
        findings=findings,
        gates=gates,
        sources=Counter(map(source, data.examples)),
        wrote=" ".join(filter(None, [wrote(data.seeds, "seeds"), wrote(data.golden, "golden lines")])),
        dropped=Counter(value["step"] for _, value in read_jsonl(dropped)) if dropped.is_file() else {},
    )
    write_text(folder / "README.md", text)
    return folder / "README.md"
