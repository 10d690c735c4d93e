"""What a user did wrong, in words."""

import pytest

from callwright.errors import did_you_mean


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("goldne", "golden"),
        ("Golden", "golden"),
        ("image-intent", "image_intent"),
        ("imageintent", "image_intent"),
        ("lnag", "lang"),
        ("langs", "lang"),
        ("weather", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_named_and_a_far_one_is_not(name: str, meant: str) -> None:
    said = did_you_mean(name, ["golden", "test", "image_intent", "lang"])
    assert said == (f"did you mean {meant!r}?" if meant else "")


def test_a_known_name_is_not_offered_instead_of_itself() -> None:
    assert did_you_mean("lang", ["lang"]) == ""
