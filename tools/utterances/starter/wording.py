"""How a language says a tool, its arguments and their values, before anybody has written a line."""

import re
from calendar import month_name
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from callwright.files import to_json
from callwright.text import language_fault, script_of
from callwright.yaml_config import read_yaml
from tools.utterances.starter.hints import author_values

TEMPLATES = Path(__file__).parent
GROUPS = {"grammar": slice(0, 6), "seeds": slice(6, 9), "golden": slice(9, 12)}
"""The things of words.yaml that a group of lines takes, so that none repeats another's."""
TAIL = re.compile(
    r"[,:(（]|\b(?:for|of|in|on|at|by|with|from|to|into|using|against|between|about) (?:an?|the|its?|their|your|one|given"
    r"|some|specified|ISO|two|several|any|each|all|which)\b.*",
    re.IGNORECASE,
)
"""From here on the first sentence of a description tells of arguments."""
AFFIRMED = re.compile(r"^(?:include|including|with|enable|enabled|use|is|has|allow|show|send|add) (?=\w)")
LATE = re.compile(
    r"\b(?:to|until|till|before|latest|last|max|maximum|lte?|ends?|finish|closes?|closing|return|drop ?off|expir\w+|due)\b"
    r"|結束|截止|到期|終"
)
"""The name of a day or a time says by this that it is the later one of two."""
MEASURES = {"unit", "language", "currency", "color"}
"""Roles of which listed values are said like others: in celsius, but not in terrace."""
POINTING = {"from", "to", "at", "on", "in", "by", "for", "where", "when", "who", "what", "q"}
"""Names of arguments that nobody would ask for, as in: which from?"""
KINDS = {"date": date.fromisoformat, "date-time": datetime.fromisoformat}
DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


def clean(text: str) -> str:
    """Put a text on one line, without what cannot be seen and the marks that a grammar gives a meaning."""
    return " ".join("".join(" " if char in "{}[]<>" or not char.isprintable() else char for char in text).split())


def words(name: str) -> str:
    """Write an identifier as words: getWeather_now → get weather now."""
    return clean(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_./-]+", " ", name)).lower() or "it"


def sentence(description: str) -> str:
    """Return the first sentence of a description, without its end mark."""
    return clean(re.split(r"(?<=[.!?。！？])\s|(?<=[。！？])|\n", description.strip())[0]).strip(" .。!?！？")


@cache
def lexicon() -> dict[str, Any]:
    """Read words.yaml."""
    return read_yaml(TEMPLATES / "words.yaml")


@dataclass
class Wording:
    """The words of one language.

    Args:
        lang: en or zh-TW.
        phrases: its part of phrases.yaml.
    """

    lang: str
    phrases: dict[str, Any]

    def role(self, name: str) -> dict[str, Any]:
        """Return what words.yaml says of an argument by the end of its name; {} where it knows none. The longest ending wins."""
        plain, best, length = f" {words(name.rpartition('/')[2])}", dict[str, Any](), 0
        for role in lexicon()["roles"]:
            for ending in role["words"]:
                if plain.endswith(f" {ending}") and len(ending) > length:
                    best, length = role, len(ending)
        return best

    def things(self, name: str, group: str, schema: Any = None) -> list[str]:
        """Return what a free text may say: by what its schema describes, by the author's own examples, or by its name."""
        own = schema if isinstance(schema, dict) else {}
        about, given = str(own.get("description", "")), {to_json(value) for value in author_values(own)}
        described = [hint["word"] for hint in lexicon()["about"] if re.search(hint["match"], about, re.IGNORECASE)]
        shown = [role["words"][0] for role in lexicon()["roles"] if given & set(map(to_json, self.of(role)))]
        for role in (*map(self.role, [*described, *shown]), self.role(name)):
            if found := self.of(role):
                return found[GROUPS[group]]
        return list(self.phrases["things"])[GROUPS[group]]

    def of(self, role: dict[str, Any]) -> list[str]:
        """Return the things of a role in this language; [] where it has none."""
        return list(role.get(self.lang, {}).get("things", []))

    def knows(self, name: str, schema: Any) -> bool:
        """Tell whether things are known that fit the name or the description of a free text."""
        return self.things(name, "grammar", schema) != list(self.phrases["things"])[GROUPS["grammar"]]

    def form(self, name: str, schema: dict[str, Any]) -> str:
        """Return the `format` of a text: its own, or the one that its description or its name tells; "" where none does."""
        about = str(schema.get("description", ""))
        role = self.role(name).get("words", [""])[0]
        if isinstance(schema.get("format"), str):
            return str(schema["format"])
        if re.search(r"\byyyy-mm-dd(?!T)|\bdate\b.*ISO 8601", about, re.IGNORECASE):
            return "date"
        if re.search(r"ISO.?8601|RFC.?3339", about, re.IGNORECASE):
            return "date-time"
        if re.search(r"\bhh:mm\b", about, re.IGNORECASE) or role == "time":
            return "clock"
        return "date" if role in ("date", "start", "end") else ""

    def is_late(self, name: str) -> bool:
        """Tell whether an argument says when something ends, so that another may say when it begins."""
        last = name.rpartition("/")[2]
        return self.role(last).get("words", [""])[0] == "end" or LATE.search(words(last)) is not None

    def name(self, key: str, schema: Any) -> str:
        """Return what an argument is called: by a short title or description in the language, by its role, or by its own words."""
        own, _ = self.unit(key)
        role = self.role(key).get(self.lang, {}).get("name")
        if self.lang == "en":
            return str(role) if role and (own in POINTING or not own.isascii()) else own
        said = schema if isinstance(schema, dict) else {}
        for text in (said.get("title"), said.get("description")):
            about = clean(re.split(r"[，,。:：（(；;]", str(text or ""))[0])
            if re.fullmatch(r"[\u3400-\u9fff]{1,8}", about) and not self.foreign(about):
                return about
        names = lexicon()["names"]
        thing = names.get(own.removesuffix(" id"), "") if own.endswith(" id") else ""
        return str(names.get(own) or (thing and f"{thing}{names['id']}") or role or own)

    def unit(self, key: str) -> tuple[str, str]:
        """Return an argument's words without the unit that they end with, and that unit as it is said; "" where there is none."""
        plain = words(key.rpartition("/")[2])
        rest, _, last = plain.rpartition(" ")
        unit = lexicon()["units"][self.lang].get(last)
        return (rest, str(unit)) if unit and rest else (plain, "")

    def phrase(self, key: str, schema: Any, values: Sequence[Any]) -> str:
        """Say an argument within a request: "in {value}", "unit {value}", "duration {value} minutes"."""
        found, name = self.role(key), self.name(key, schema)
        listed = (
            isinstance(schema, dict)
            and {"enum", "const"} & schema.keys()
            and found.get("words", [""])[0] not in MEASURES
        )
        role = {} if listed else found.get(self.lang, {})
        _, unit = self.unit(key)
        kinds = {type(value) for value in values}
        if bool in kinds:
            return "{value}"
        say = self.phrases["argument"] if kinds & {str, dict, list} else "{name} {value}"
        if not kinds & {dict, list} and (str in kinds or not role.get("things")):
            say = role.get("say", say)
        return str(say).replace("{name}", name) + (f" {unit}" if unit and not kinds & {str, dict, list} else "")

    def spoken_value(self, value: Any, key: str, schema: Any) -> str:
        """Say a value as somebody would."""
        own = schema if isinstance(schema, dict) else {}
        if isinstance(value, bool):
            return self.switched(value, key, own)
        if isinstance(value, dict):
            known = own.get("properties", {})
            pairs = [
                (self.name(at, known.get(at)), self.spoken_value(item, at, known.get(at))) for at, item in value.items()
            ]
            plain = all(isinstance(item, str) and self.role(at) for at, item in value.items())
            pairs = [("", text) if plain or text.startswith(name) else (name, text) for name, text in pairs]
            return clean(", ".join(f"{name} {text}".strip() for name, text in pairs)) or str(self.phrases["empty"])
        if isinstance(value, list):
            items = [self.spoken_value(item, key, own.get("items")) for item in value]
            between = self.phrases["joiner"] if not any(isinstance(item, dict) for item in value) else "; "
            return clean(between.join(items)) or str(self.phrases["empty"])
        if value is None:
            return str(self.phrases["none"])
        text = self.moment(value, self.form(key, own)) if isinstance(value, str) and "enum" not in own else str(value)
        return clean(text) or str(self.phrases["empty"])

    def switched(self, value: bool, key: str, schema: Any) -> str:
        """Say a yes or no: "with insurance", "all day: no"."""
        name = words(key.rpartition("/")[2])
        short = AFFIRMED.sub("", name)
        said = short if self.lang == "en" else str(lexicon()["names"].get(short, short))
        pattern = self.phrases["affirmed" if short != name else "on_off"]
        return str(pattern["yes" if value else "no"]).replace("{name}", said)

    def moment(self, text: str, form: str) -> str:
        """Say a date, time or duration in words, or as it is where it says more than minutes or another zone than UTC.

        Every second day stays as it is: people type 2026-03-05 as well.
        """
        if form == "duration" and (match := DURATION.fullmatch(text)):
            parts = [
                f"{number} {unit}"
                for number, unit in zip(match.groups(), self.phrases["durations"], strict=True)
                if number
            ]
            return " ".join(part.removesuffix("s") if part.startswith("1 ") else part for part in parts) or text
        clock = re.fullmatch(r"(?:(.*)T)?(\d\d:\d\d)(?::00)?(Z|\+00:00)?", text)
        try:
            day = date.fromisoformat((clock and clock[1]) or text) if form in KINDS else None
        except ValueError:
            return text
        if form not in (*KINDS, "time", "clock") or (form != "date" and not clock):
            return text
        spoken = [] if day is None else [self.day(day, plain=form == "date" and day.day % 2 == 0)]
        if clock:
            at = str(self.phrases["at"]) if spoken else ""
            spoken.append(f"{at}{clock[2]}{' UTC' if clock[3] else ''}")
        return " ".join(spoken)

    def day(self, day: date, plain: bool = False) -> str:
        """Say a day: March 5, 2026; or 2026-03-05."""
        if plain:
            return day.isoformat()
        if self.lang == "en":
            return f"{month_name[day.month]} {day.day}, {day.year}"
        return f"{day.year}年{day.month}月{day.day}日"

    def foreign(self, text: str) -> bool:
        """Tell whether a text is in another language, as far as its script tells."""
        kana = any(script_of(char) in ("HIRAGANA", "KATAKANA") for char in text)
        return kana or language_fault(text, self.lang) is not None or not any(map(str.isalpha, text))

    def asks(self, tool: dict[str, Any]) -> tuple[str, str]:
        """Return two ways to ask for a tool: by its description, and by its name; the same where one of them says nothing."""
        about, name = sentence(tool["function"]["description"]), words(tool["function"]["name"])
        if self.lang != "en":
            by_name = self.verb_phrase(name) or (
                name if not self.foreign(name) else self.phrases["use"].replace("{name}", name)
            )
            fitting = about and not self.foreign(about) and len(about) <= 20
            return (re.split(r"[，,（(]", about)[0] if fitting else by_name), by_name
        short = TAIL.split(about)[0].strip()
        short = short if len(short.split()) > 1 else about
        first, _, rest = short.partition(" ")
        verb = verb_of(first)
        by_name = self.verb_phrase(name) or self.phrases["use"].replace("{name}", name)
        particle = by_name.split()[1:2] if " ".join(by_name.split()[:2]) in lexicon()["verbs"] else []
        good = verb and {*particle} <= {*rest.split()} and len(short.split()) <= 8 and not self.foreign(short)
        return (f"{verb} {rest}".strip() if good else by_name), by_name

    def verb_phrase(self, name: str) -> str:
        """Say a tool's name as a request: create event → create an event; "" where it holds no verb that we know."""
        parts = name.split()
        if verb_of(parts[-1]) and not verb_of(parts[0]):  # billing.invoices.create
            parts = [parts[-1], *parts[:-1]]
        verb = verb_of(parts[0])
        if not verb:
            return ""
        length = 2 if " ".join([verb, *parts[1:2]]) in lexicon()["verbs"] and len(parts) > 1 else 1  # turn on
        verb, thing = " ".join([verb, *parts[1:length]]), " ".join(parts[length:])
        article, zh = lexicon()["verbs"][verb]
        if self.lang != "en":
            names = lexicon()["names"]
            thing = str(names.get(thing) or names.get(thing.rpartition(" ")[2], thing))
            return f"{zh}{' ' if thing.isascii() and thing else ''}{thing}"
        plural = (
            (thing.endswith("s") and not thing.endswith(("ss", "us")))
            or not thing
            or parts[length] in ("a", "an", "the", "my")
        )
        before = "" if plural or not article else "an" if article == "a" and thing[0] in "aeiou" else article
        return " ".join(filter(None, [verb, before, thing]))


def verb_of(word: str) -> str:
    """Return the verb of words.yaml that a word is, also in its third person: returns → return; "" where it is none."""
    plain, verbs = word.lower(), lexicon()["verbs"]
    return next((form for form in (plain, plain.removesuffix("s"), plain.removesuffix("es")) if form in verbs), "")
