"""Draft a task's grammar.yaml from its tools: what people may say for each of them, and when they do not want it."""

import re
from calendar import day_name
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import cycle
from string import Template
from typing import Any

from callwright.yaml12 import Dumper, dump_yaml
from callwright.yaml_config import read_yaml
from tools.utterances.starter.arguments import argument_sets, inlined, required_beyond_speech
from tools.utterances.starter.values import Values, fits
from tools.utterances.starter.wording import GROUPS, TEMPLATES, Wording, clean, sentence, words

LANGUAGES = ("en", "zh-TW")
TODAYS = tuple(date(2026, 3, 5) + timedelta(days=23 * number) for number in range(12))
"""The days that system messages name, where tools take dates; a group takes its share, as of words.yaml's things."""
AT_ONCE = 3
"""One text gives so many optional arguments at most."""
FEW = 2
"""A tool that requires more gets so many wordings, and starter lines, a language."""
MISSING = 3
"""So many required arguments are left out of a request, one at a time, so that the reply asks for them."""

NEAR = re.compile(r"(in|on|at|to|from|for|about|starting|until|called|saying|with|without) |\{\w*relative")

Tool = dict[str, Any]
Row = dict[str, Any]


class InlineMapping(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(Dumper):
    """YAML that a person can edit: a value a line, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    InlineMapping, lambda dumper, line: dumper.represent_mapping("tag:yaml.org,2002:map", line, True)
)


def dump(value: Any) -> str:
    """Write a value as YAML in block style, but for each InlineMapping."""
    return dump_yaml(value, _Dumper)


@dataclass
class Draft:
    """The slots and families of one language, for a group of lines: seeds, golden or grammar."""

    lang: str
    phrases: Row
    tools: list[Tool]
    group: str
    slots: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wording = Wording(self.lang, self.phrases[self.lang])
        self.values = Values(self.wording, self.group)
        self.own: Row = self.phrases[self.lang][self.group]

    def family(self, identity: str, kind: str, texts: list[Any], **more: Any) -> Row:
        """Return a family of the grammar."""
        head = {"id": f"{self.lang}-{identity}", "lang": self.lang, "register": "plain", "kind": kind}
        return {**head, **more, "texts": texts}

    def of_tool(self, tool: Tool) -> Iterator[Row]:
        """Yield the families of a tool: requests, requests that lack an argument or name a day, and talk about the tool."""
        name = tool["function"]["name"]
        schema = inlined(tool)
        tables = list(argument_sets(tool, self.tools, self.values))
        overlong = required_beyond_speech(tool) > 0
        wraps = self.own["call"][: FEW if overlong else None]
        for number, table in enumerate(tables, 1):
            spoken = self.spoken(name, table, schema)
            call = {"name": name, "arguments": InlineMapping({key: slot for key, (slot, _) in spoken.items()})}
            required = [key for key in spoken if key in table.required]
            optional = [key for key in spoken if key not in table.required and spoken[key][1]]
            extra = cycle(chunks(optional)) if optional else cycle([()])
            start = max(1, len(wraps) // 4)
            texts = [
                self.request(wrap, tool, spoken, [*required, *(() if at < start else next(extra))], at)
                for at, wrap in enumerate(wraps)
                if len(tables) == 1 or (at - number) % len(tables) == 0 or len(tables) > len(wraps)
            ]
            yield self.family(f"{name}-{number}", name, texts, calls=[call])
            if number > 1:
                continue
            if not overlong:
                yield from self.lacking(tool, spoken, required, table.columns)
                yield from self.dated(tool, spoken, required, schema)
            yield from self.about(tool, spoken, [] if overlong else required)  # which need not name them all

    def about(self, tool: Tool, spoken: Row, keys: Sequence[str]) -> Iterator[Row]:
        """Yield talk about a tool that does not want it called, a family a kind."""
        items: dict[str, list[Row]] = {}
        for at, item in enumerate(self.own["tool"]):
            text = self.request(item["text"], tool, spoken, keys, at)
            items.setdefault(item["kind"], []).append(InlineMapping(text=text, reply=item["reply"]))
        for kind, own in items.items():
            yield self.family(f"{tool['function']['name']}-{kind}", kind, own)

    def spoken(self, tool: str, table: Any, schema: Row) -> dict[str, tuple[Any, str]]:
        """Map each argument to what a call gets, `{slot}`, and how a text says it; "" for null, which goes without saying."""
        found: dict[str, tuple[Any, str]] = {}
        for key, column in table.columns.items():
            own = schema["properties"].get(key, {})
            pairs = [(self.wording.spoken_value(value, key, own), value) for value in column]
            slot = self.slot(self.place(tool, key), pairs)
            phrase = self.wording.phrase(key, own, [value for value in column if value is not None])
            found[key] = (slot, clean_phrase(phrase).replace("{value}", slot)) if slot else (None, "")
        return found

    def place(self, tool: str, key: str) -> str:
        """Name a slot after the tool and the argument, in the letters that a grammar takes."""
        role = next(iter(self.wording.role(key).get("words", [])), "")
        own, of_tool = slot_letters(key) or slot_letters(role) or "value", slot_letters(tool)
        return own if own.startswith(f"{of_tool}_") else f"{of_tool or 'tool'}_{own}"

    def slot(self, name: str, pairs: Sequence[tuple[str, Any]]) -> str | None:
        """Put texts and values among the slots; return their place `{slot}`, None where null is the only value."""
        filled = [
            value
            if text == str(value) and not isinstance(value, bool)
            else InlineMapping({"text": text, "value": value})
            for text, value in pairs
            if value is not None
        ]
        slot = name
        while self.slots.get(slot, filled) != filled:
            slot += "_x"
        if filled:
            self.slots[slot] = filled
        return f"{{{slot}}}" if filled else None

    def request(self, wrap: str, tool: Tool, spoken: Row, keys: Sequence[str], at: int) -> str:
        """Put a request of these arguments into a wording; every second one asks by the tool's name."""
        ask = clean(self.wording.asks(tool)[at % 2])
        phrases = [spoken[key][1] for key in keys if spoken[key][1]]
        near = [phrase for phrase in phrases if self.is_near(phrase)]
        far = [phrase for phrase in phrases if not self.is_near(phrase)]
        request = self.wording.phrases["joiner"].join([self.wording.phrases["near"].join([ask, *near]), *far])
        return wrap.replace("{request}", request).replace("{ask}", ask)

    def is_near(self, phrase: str) -> bool:
        """Tell whether a phrase goes with the verb ("in Taipei", "tomorrow"), and not behind a comma ("size 3")."""
        return self.lang != "en" or NEAR.match(phrase) is not None

    def lacking(self, tool: Tool, spoken: Row, required: list[str], columns: Row) -> Iterator[Row]:
        """Yield requests without an argument that they need, with replies that ask for it."""
        name, items = tool["function"]["name"], list[Row]()
        properties = inlined(tool)["properties"]
        asked = [
            key
            for key in required
            if spoken[key][1] and len(columns[key]) > 1 and not isinstance(columns[key][0], bool)
        ]
        for number, key in enumerate(asked[:MISSING]):
            rest = [other for other in required if other != key]
            missing = clean(self.wording.name(key, properties.get(key, {})))
            replies = [reply.replace("{name}", missing) for reply in self.wording.phrases["missing"]]
            wraps = self.own["missing"]
            some = wraps if len(asked) == 1 else [wraps[number % len(wraps)], wraps[(number + 1) % len(wraps)]]
            items += [
                InlineMapping(
                    text=self.request(wrap, tool, spoken, rest, number + at), reply=replies[(number + at) % 2]
                )
                for at, wrap in enumerate(some)
            ]
        unique = {item["text"]: item for item in items}
        if unique:
            yield self.family(f"{name}-missing", "missing_argument", list(unique.values()))

    def dated(self, tool: Tool, spoken: Row, required: list[str], schema: Row) -> Iterator[Row]:
        """Yield requests for "tomorrow", under a system message that says what day it is."""
        name = tool["function"]["name"]
        key, form = self.date_of(tool) or ("", "")
        if not key or key not in spoken:
            return
        pairs = []
        for today in TODAYS[GROUPS[self.group]]:
            for text, days in self.wording.phrases["relative"].items():
                day = (today + timedelta(days=days)).isoformat()
                value, clock = (
                    (day, "") if form == "date" else (f"{day}T08:30:00Z", f" {self.wording.phrases['at']}08:30 UTC")
                )
                if fits(schema["properties"][key], value):
                    pairs.append(InlineMapping(text=text + clock, value=value, system=self.system(today)))
        if not pairs:
            return
        slot = f"{self.place(name, key)}_relative"
        self.slots[slot] = pairs
        phrase = self.wording.phrase(key, schema["properties"][key], ["text"]).removeprefix("on ")
        own = {**spoken, key: (f"{{{slot}}}", clean_phrase(phrase).replace("{value}", f"{{{slot}}}"))}
        keys = [*required, *([] if key in required else [key])]
        texts = [self.request(wrap, tool, own, keys, at) for at, wrap in enumerate(self.own["call"][:4])]
        call = {"name": name, "arguments": InlineMapping({at: own[at][0] for at in keys})}
        yield self.family(f"{name}-relative", "relative_date", texts, calls=[call])

    def date_of(self, tool: Tool) -> tuple[str, str] | None:
        """Return the argument that takes a day, and its form; None where there is none.

        A required one goes before others, and one that says when something begins before one that says when it ends.
        """
        schema = inlined(tool)
        required = schema.get("required", [])
        for key in sorted(schema["properties"], key=lambda key: (key not in required, self.wording.is_late(key))):
            own = schema["properties"][key]
            if not isinstance(own, dict) or own.get("type", "string") != "string" or {"enum", "const"} & own.keys():
                continue
            form = self.wording.form(key, own)
            if form in ("date", "date-time"):
                return key, form
        return None

    def systems(self) -> list[str]:
        """Return the system messages of this group's lines: [] where no tool takes a date."""
        if not any(self.date_of(tool) for tool in self.tools):
            return []
        return [self.system(day) for day in TODAYS[GROUPS[self.group]]]

    def system(self, day: date) -> str:
        """Write a system message that says what day it is."""
        today = str(self.phrases["today"]).replace("{weekday}", day_name[day.weekday()])
        return today.replace("{date}", day.isoformat())

    def talk(self) -> Iterator[Row]:
        """Yield families that have nothing to do with a tool: requests for which there is none, and chat."""
        known = " ".join(
            f"{tool['function']['name']} {tool['function']['description']} {' '.join(inlined(tool)['properties'])}"
            for tool in self.tools
        )
        cannot = self.wording.phrases["cannot"]
        free = [item["text"] for item in self.own["no_tool"] if not re.search(item["unless"], known, re.IGNORECASE)]
        if free:
            yield self.family(
                "no_tool", "no_tool", [InlineMapping(text=t, reply=cannot[n % 2]) for n, t in enumerate(free)]
            )
        yield self.family("chat", "chat", [InlineMapping(item) for item in self.own["chat"]])


def slot_letters(text: str) -> str:
    """Write a name in the letters that the name of a slot has: lower case and _."""
    return re.sub("[^a-z]+", "_", words(text).lower()).strip("_")


def chunks(keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Cut optional arguments into parts that one text can say: single ones and pairs, more only where there are many."""
    size = min(AT_ONCE, max(1, -(-len(keys) // 6)))
    return [tuple(keys[at : at + size]) for at in range(0, len(keys), size)]


def clean_phrase(phrase: str) -> str:
    """Return a phrase whose only place is {value}."""
    return "{value}".join(map(tidy, phrase.split("{value}")))


def tidy(part: str) -> str:
    """Drop the marks that a grammar gives a meaning from a part of a phrase; white space at its ends stays one space."""
    bare = clean(part)
    before = " " if part.startswith(" ") else ""
    after = " " if part.endswith(" ") and bare else ""
    return before + bare + after


def draft_grammar(task: str, tools: list[Tool], group: str) -> str:
    """Write the text of a grammar.yaml made from a group of phrases: seeds, golden or grammar.

    Raises:
        UserError: a tool of which no valid call is known.
    """
    phrases = read_yaml(TEMPLATES / "phrases.yaml")
    drafts = [Draft(lang, phrases, tools, group) for lang in LANGUAGES]
    parts = list[str]()
    for tool in tools:
        function = tool["function"]
        about = sentence(function["description"])
        parts.append(f"\n# ---- {clean(function['name'])}{': ' + about if about else ''}\n")
        parts += [dump([family]) for draft in drafts for family in draft.of_tool(tool)]
    parts += ["\n# ---- no tool at all\n", *(dump([family]) for draft in drafts for family in draft.talk())]
    head = Template((TEMPLATES / "grammar.yaml").read_text(encoding="utf-8")).substitute(task=task)
    systems = drafts[0].systems()
    days = f"\nsystems:              # each line gets one, whatever its label\n{dump(systems)}" if systems else ""
    slots = dump({"slots": {draft.lang: draft.slots for draft in drafts if draft.slots}})
    note = "\n# Values of arguments: what is said and what is passed. A value alone is said as it is passed.\n"
    return head + days + note + slots + "\npatterns:\n" + "".join(parts)
