"""Names that turn around what stands beside them keep to themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.common.files.bidi import MARKS, isolate_html, isolate_text

DOG = "כלב גדול"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (f"<p>{DOG} (52), 3</p>", f"<p><bdi>{DOG}</bdi> (52), 3</p>"),
        ("<td>قط/12.jpg</td>", "<td><bdi>قط</bdi>/12.jpg</td>"),
        ("<b>photo_\u202egpj.exe</b>", r"<b>photo_\u202egpj.exe</b>"),
        (f'<img alt="a > {DOG}"> {DOG}', f'<img alt="a > {DOG}"> <bdi>{DOG}</bdi>'),
        (f"<title>{DOG}\u2067</title>", rf"<title>{DOG}\u2067</title>"),
        (f"<script>'<b>{DOG}\u202e</b>'</script>", f"<script>'<b>{DOG}\u202e</b>'</script>"),
        (f"<!-- {DOG} -->&lt;{DOG}", f"<!-- {DOG} -->&lt;<bdi>{DOG}</bdi>"),
        ("\U0001e900 and \U00010840", "<bdi>\U0001e900</bdi> and <bdi>\U00010840</bdi>"),
        ("été 犬 😀 < 3", "été 犬 😀 < 3"),
    ],
)
def test_names_are_isolated_in_texts_alone(page: str, expected: str) -> None:
    assert isolate_html(page) == expected


@given(st.text(st.characters(categories=["L", "N", "P", "Z", "Cf"])))
def test_what_a_text_says_stays(text: str) -> None:
    plain = MARKS.sub("", text)
    assert isolate_text(plain).replace("\u2068", "").replace("\u2069", "") == plain
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067") & set(isolate_text(text))
    assert isolate_text(text).count("\u2068") == isolate_text(text).count("\u2069")
