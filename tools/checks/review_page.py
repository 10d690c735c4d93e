"""The page of `python -m tools.review`: one line at a time, what is suspicious about it, and buttons to decide."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from tools.utterances.review_log import Decision, Live, read_decisions, replay_log
from tools.utterances.review_queue import FACETS, ReviewQueue, pretty

HOST, PORT = "127.0.0.1", 7861
MOST_BYTES = 1 << 20
"""The most bytes of a request: nothing is uploaded to this page, though Gradio would take it."""
KEYS = {"accept": "a", "reject": "r", "edit": "e", "relabel": "l", "undo": "u", "previous": "k", "next": "j"}
STEPS = {"next": 1, "previous": -1}
STATES = ["open", "decided", "accept", "reject", "edit", "relabel"]
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'"
"""Gradio's page asks a CDN for a script that is not needed here; nothing is to leave or enter this machine."""


def build(queue: ReviewQueue, title: str) -> Any:
    """Build the page as Gradio Blocks."""
    return ReviewPage(queue, title).page


class ReviewPage:
    """The page's parts, and what its buttons do. A button sends the line that the browser shows: none is decided unseen."""

    def __init__(self, queue: ReviewQueue, title: str) -> None:
        import gradio as gr
        from jinja2 import Environment, FileSystemLoader

        environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)  # anyone's words
        self.gr, self.queue = gr, queue
        self.render = environment.get_template("review.html.j2").render
        self.places = {identity: place for place, identity in enumerate(queue.lines)}
        self.buttons: dict[str, Any] = {}
        theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
        head = Path(__file__).with_name("review.head.html")
        with gr.Blocks(title=title, theme=theme, head_paths=head, analytics_enabled=False) as self.page, gr.Row():
            self.shown, self.times, self.asked = gr.Textbox(visible=False), gr.State([]), gr.State([])
            with gr.Column(scale=3, min_width=300):
                self.add_card()
            with gr.Column(scale=1, min_width=280):
                self.add_filters()
        self.connect()

    def add_card(self) -> None:
        """Add the line, the editor under it and the buttons that decide about it."""
        gr = self.gr
        self.card, self.notice = gr.HTML(padding=False), gr.HTML(padding=False)
        with gr.Column(visible=False, elem_id="editor") as self.editor:
            self.text = gr.Textbox(label="utterance", lines=2, elem_id="text")
            self.calls = gr.Textbox(label="calls (JSON; [] is no call)", lines=6, elem_id="calls")
            self.reply = gr.Textbox(label="reply (where nothing is called)", lines=2, elem_id="reply")
            with gr.Row():
                self.buttons["save"] = gr.Button("save · Ctrl+Enter", variant="primary", elem_id="save")
                self.buttons["cancel"] = gr.Button("cancel · Esc", elem_id="cancel")
        with gr.Row(elem_id="keys"):
            for name, key in KEYS.items():
                self.buttons[name] = gr.Button(f"{name} · {key}", elem_id=name, min_width=80)

    def add_filters(self) -> None:
        """Add the filters, and the buttons that decide about all lines that pass them."""
        gr = self.gr
        facets = [line.facets({}) for line in self.queue.lines.values()]
        values = [sorted(set().union(*own)) for own in zip(*facets, strict=True)]
        values[FACETS.index("decision")] = STATES
        with gr.Row():
            self.filters: list[Any] = [
                gr.Dropdown([("any", ""), *own], value="", label=facet, elem_id=facet, min_width=120)
                for facet, own in zip(FACETS, values, strict=True)
            ]
            self.filters.append(gr.Textbox(label="search", max_lines=1, elem_id="search"))
        self.filters[FACETS.index("decision")].value = "open"
        for name in ("accept-all", "reject-all"):
            self.buttons[name] = gr.Button(elem_id=name)
        with gr.Column(visible=False) as self.sure:
            for name in ("yes", "no"):
                self.buttons[name] = gr.Button(name, elem_id=name)

    def connect(self) -> None:
        """Let every button and filter do what its name says."""
        editable = [self.text, self.calls, self.reply]
        inputs = [self.shown, self.times, self.asked, *editable, *self.filters]
        outputs = [self.card, self.notice, self.shown, self.times, self.asked, *editable, self.editor, self.sure]
        outputs += self.buttons.values()
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_name": False}
        with self.page:
            self.page.load(self.handler("load"), inputs, outputs, **quick)
            for name, button in self.buttons.items():
                event = button.click(self.handler(name), inputs, outputs, **quick)
                if name in ("edit", "relabel"):
                    event.then(None, js="() => document.querySelector('#text textarea').focus()")
            for one in self.filters:
                one.change(self.handler("filter"), inputs, outputs, trigger_mode="always_last", **quick)

    def handler(self, name: str) -> Callable[..., dict[Any, Any]]:
        """Return what Gradio calls for a button; what goes wrong is shown on the page."""

        def handle(*values: Any) -> dict[Any, Any]:
            try:
                return self.act(name, *values)
            except (UserError, ValueError) as error:
                return {self.notice: f"<p id=notice>{escape(str(error))}</p>"}

        return handle

    def act(self, name: str, identity: str, mine: list[str], todo: list[str], *said: str) -> dict[Any, Any]:
        """Do what a button does to the line `identity`.

        Args:
            mine: when this page decided.
            todo: an action and the ids that wait for a yes.
            said: text, calls and reply of the editor, then the filters.
        """
        queue, rewriting, chosen = self.queue, said[:3], said[3:]
        line = queue.lines.get(identity)
        if line and name in ("edit", "relabel"):
            return self.open_editor(identity, name)
        if name.endswith("-all"):
            action, ids = name.removesuffix("-all"), queue.pick(replay_log(read_decisions(queue.path)), chosen)
            question = f"yes, {action} all {len(ids)} shown"
            return {self.sure: self.gr.Column(visible=True), self.buttons["yes"]: question, self.asked: [action, *ids]}
        live, new = replay_log(read_decisions(queue.path)), list[Decision]()
        step = STEPS.get(name, 0)
        if name == "load":
            mine, step = sorted({decision.time for decision in live.values()}), 1
        elif name == "filter" and identity not in queue.pick(live, chosen):
            step, identity = 1, ""
        elif name == "undo":
            live, undone = queue.undo(mine)
            identity = undone[0].id if undone else identity
        elif name == "yes":
            (live, new), step = queue.judge(todo[0], todo[1:]), 1
        elif line and name in ("accept", "reject"):
            (live, new), step = queue.judge(name, [identity]), 1
        elif line and name == "save":
            (live, new), step = queue.rewrite(identity, *rewriting), 1
        return self.view(live, identity, chosen, step) | {self.times: [*mine, *{decision.time for decision in new}]}

    def open_editor(self, identity: str, name: str) -> dict[Any, Any]:
        """Show the editor: to edit, with what the line says; to relabel, with what the other label starts from."""
        now = self.queue.lines[identity].now(replay_log(read_decisions(self.queue.path)))
        fresh = now if name == "edit" else self.queue.relabelled(now)
        opened = {self.editor: self.gr.Column(visible=True), self.notice: ""}
        return {**opened, self.text: fresh.utterance, self.calls: pretty(fresh.calls), self.reply: fresh.reply or ""}

    def view(self, live: Live, identity: str, chosen: Sequence[str], step: int) -> dict[Any, Any]:
        """Show the line that is `step` from `identity` among those that pass the filters, round and round; 0 is itself."""
        lines, picked, at = self.queue.lines, self.queue.pick(live, chosen), self.places.get(identity, -1)
        if step:
            onward = [one for one in picked if (self.places[one] - at) * step > 0] or picked or [""]
            identity = onward[0] if step > 0 else onward[-1]
        line, done = lines.get(identity), sum(line.held(live) is not None for line in lines.values())
        now, held = (line.now(live), line.held(live)) if line else (None, None)
        html = self.render(
            line=line,
            now=now,
            held=held,
            calls=pretty(now.calls) if now else None,
            done=done,
            left=len(lines) - done,
            picked=len(picked),
        )
        counted = {self.buttons[f"{name}-all"]: f"{name} all {len(picked)} shown" for name in ("accept", "reject")}
        hidden = {self.editor: self.gr.Column(visible=False), self.sure: self.gr.Column(visible=False)}
        return {self.card: html, self.shown: identity, self.notice: "", **counted, **hidden}
