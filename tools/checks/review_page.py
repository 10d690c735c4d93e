"""Look through a task's generated lines, suspicious first, and decide: python -m tools.review image_intent"""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from tools.utterances.review_log import Decision, Live, read_decisions, replay_log
from tools.utterances.review_queue import FACETS, ReviewQueue, pretty

HOST, PORT = "127.0.0.1", 7861
MOST_BYTES = 1 << 20
"""of a request: nothing is uploaded to this page, though Gradio would take it"""
KEYS = {"accept": "a", "reject": "r", "edit": "e", "relabel": "l", "undo": "u", "previous": "k", "next": "j"}
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'"
"""Gradio's page asks a CDN for a script that is not needed here; nothing is to leave or enter this machine"""


def build(queue: ReviewQueue, title: str) -> Any:
    """Build the page as Gradio Blocks. A button sends the line that the browser shows, so that none is decided unseen."""
    import gradio as gr
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)  # the words are anyone's
    render = environment.get_template("review.html.j2").render
    places = {identity: place for place, identity in enumerate(queue.lines)}
    values = [
        sorted(set().union(*own)) for own in zip(*(line.facets({}) for line in queue.lines.values()), strict=True)
    ]
    values[-1] = ["open", "decided", "accept", "reject", "edit", "relabel"]
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    head = Path(__file__).with_name("review.head.html")
    buttons: dict[str, Any] = {}
    with gr.Blocks(title=title, theme=theme, head_paths=head, analytics_enabled=False) as page, gr.Row():
        shown, times, asked = gr.Textbox(visible=False), gr.State([]), gr.State([])
        with gr.Column(scale=3, min_width=300):
            card, notice = gr.HTML(padding=False), gr.HTML(padding=False)
            with gr.Column(visible=False, elem_id="editor") as editor:
                text = gr.Textbox(label="utterance", lines=2, elem_id="text")
                calls = gr.Textbox(label="calls (JSON; [] is no call)", lines=6, elem_id="calls")
                reply = gr.Textbox(label="reply (where nothing is called)", lines=2, elem_id="reply")
                with gr.Row():
                    buttons["save"] = gr.Button("save · Ctrl+Enter", variant="primary", elem_id="save")
                    buttons["cancel"] = gr.Button("cancel · Esc", elem_id="cancel")
            with gr.Row(elem_id="keys"):
                buttons |= {
                    name: gr.Button(f"{name} · {key}", elem_id=name, min_width=80) for name, key in KEYS.items()
                }
        with gr.Column(scale=1, min_width=280):
            with gr.Row():
                filters: list[Any] = [
                    gr.Dropdown([("any", ""), *own], value="", label=facet, elem_id=facet, min_width=120)
                    for facet, own in zip(FACETS, values, strict=True)
                ]
                filters.append(gr.Textbox(label="search", max_lines=1, elem_id="search"))
            filters[-2].value = "open"
            buttons |= {name: gr.Button(elem_id=name) for name in ("accept-all", "reject-all")}
            with gr.Column(visible=False) as sure:
                buttons |= {name: gr.Button(name, elem_id=name) for name in ("yes", "no")}

    def view(live: Live, identity: str, chosen: Sequence[str], step: int) -> dict[Any, Any]:
        """Show the line that is `step` from `identity` among those that pass the filters, round and round; 0 is itself."""
        picked, at = queue.pick(live, chosen), places.get(identity, -1)
        if step:
            on = [one for one in picked if (places[one] - at) * step > 0] or picked or [""]
            identity = on[0 if step > 0 else -1]
        line, done = queue.lines.get(identity), sum(line.held(live) is not None for line in queue.lines.values())
        now = line and line.now(live)
        html = render(
            **{"line": line, "now": now, "held": line and line.held(live), "calls": now and pretty(now.calls)},
            **{"done": done, "left": len(queue.lines) - done, "picked": len(picked)},
        )
        counted = {buttons[f"{name}-all"]: f"{name} all {len(picked)} shown" for name in ("accept", "reject")}
        hidden = {editor: gr.Column(visible=False), sure: gr.Column(visible=False), notice: ""}
        return {card: html, shown: identity, **counted, **hidden}

    def act(name: str, identity: str, mine: list[str], todo: list[str], *said: str) -> dict[Any, Any]:
        """Do what a button does to the line `identity`; `mine` is when this page decided, `todo` what waits for a yes."""
        rewriting, chosen = said[:3], said[3:]
        live, new = replay_log(read_decisions(queue.path)), list[Decision]()
        step = {"next": 1, "previous": -1}.get(name, 0)
        line = queue.lines.get(identity)
        if name == "load":
            mine, step = sorted({decision.time for decision in live.values()}), 1
        elif name == "filter" and identity not in queue.pick(live, chosen):
            step, identity = 1, ""
        elif name == "undo":
            live, undone = queue.undo(mine)
            identity = undone[0].id if undone else identity
        elif name == "yes":
            (live, new), step = queue.judge(todo[0], todo[1:]), 1
        elif name.endswith("-all"):
            action, ids = name.removesuffix("-all"), queue.pick(live, chosen)
            question = f"yes, {action} all {len(ids)} shown"
            return {sure: gr.Column(visible=True), buttons["yes"]: question, asked: [action, *ids]}
        elif line and name in ("accept", "reject"):
            (live, new), step = queue.judge(name, [identity]), 1
        elif line and name == "save":
            (live, new), step = queue.rewrite(identity, *rewriting), 1
        elif line and name in ("edit", "relabel"):
            now = line.now(live)
            fresh = now if name == "edit" else queue.relabelled(now)
            opened = {editor: gr.Column(visible=True), notice: ""}
            return {**opened, text: fresh.utterance, calls: pretty(fresh.calls), reply: fresh.reply or ""}
        return view(live, identity, chosen, step) | {times: [*mine, *{decision.time for decision in new}]}

    def handler(name: str) -> Callable[..., dict[Any, Any]]:
        def handle(*values: Any) -> dict[Any, Any]:
            try:
                return act(name, *values)
            except (UserError, ValueError) as error:
                return {notice: f"<p id=notice>{escape(str(error))}</p>"}

        return handle

    inputs = [shown, times, asked, text, calls, reply, *filters]
    outputs = [card, notice, shown, times, asked, text, calls, reply, editor, sure, *buttons.values()]
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_name": False}
    with page:
        page.load(handler("load"), inputs, outputs, **quick)
        for name, button in buttons.items():
            event = button.click(handler(name), inputs, outputs, **quick)
            if name in ("edit", "relabel"):
                event.then(None, js="() => document.querySelector('#text textarea').focus()")
        for one in filters:
            one.change(handler("filter"), inputs, outputs, trigger_mode="always_last", **quick)
    return page
