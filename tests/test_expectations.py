"""What must arrive in an argument, what an utterance says of it, and which Chinese a text is in."""

from typing import Any

import pytest

from callwright.expectations import contains_expected_words, expected_call, share_said, unlisted_values
from callwright.records import Call
from callwright.text import chinese_form, normal_form

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "what": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "size": {"enum": ["small", "large"]},
        "count": {"type": "integer"},
        "gift": {"type": "boolean"},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
}
CALL = Call(
    name="order",
    arguments={
        "what": "the red kite with a long tail",
        "day": "2026-01-02",
        "size": "small",
        "count": 2,
        "gift": True,
        "notes": ["soon"],
    },
)


def test_free_text_is_expected_by_the_words_that_were_said_and_all_else_literally() -> None:
    expected = expected_call(CALL, "I want a RED kite, two of them, on 2026-01-02", PARAMETERS)
    assert expected.arguments == CALL.arguments | {"what": {"contains": ["red", "kite"]}}
    assert contains_expected_words("a kite that is Red", [expected])
    assert not contains_expected_words("a kite", [expected])
    assert expected_call(CALL, "send it", PARAMETERS) == CALL, "a word that nobody said need not arrive"


def test_no_more_words_are_expected_than_prove_the_content() -> None:
    long = Call(name="order", arguments={"what": "one long red kite tail pole string box"})
    assert len(expected_call(long, long.arguments["what"], PARAMETERS).arguments["what"]["contains"]) == 5


def test_what_the_schema_lists_need_not_be_said() -> None:
    values = list(unlisted_values(CALL.arguments, PARAMETERS))
    assert values == ["the red kite with a long tail", "2026-01-02", 2, "soon"]


@pytest.mark.parametrize(
    ("value", "text", "share"),
    [
        ("a red kite", "I want a kite", 0.5),
        ("戴墨鏡的柴犬，水彩風", "畫一隻戴墨鏡的柴犬", 2 / 3),
        ("", "anything", 1),
        (2, "two of them", 1),
        (2, "some of them", 0),
        (0.5, "半杯", 1),
    ],
)
def test_how_much_of_a_value_is_said(value: str | float, text: str, share: float) -> None:
    assert share_said(value, text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "form"),
    [("畫一隻貓", "traditional"), ("画一只猫给我", "simplified"), ("后台只", ""), ("hello", ""), ("\ud800", "")],
)
def test_the_form_of_a_chinese_text(text: str, form: str) -> None:
    assert chinese_form(text) == form


def test_marks_alone_have_a_normal_form_too() -> None:
    assert (normal_form("Ｈi, 你好！"), normal_form(" ?! ")) == ("hi你好", "?!")
