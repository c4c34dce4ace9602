"""Names that run from right to left, or that turn what follows around, inside pages.

In a sentence a Hebrew name takes the numbers and signs behind it along, and a mark such as U+202E
turns all that follows around, so that `photo_gpj.exe` reads as a picture. Names in Markdown and on
the terminal have their marks shown by their numbers; here they have, and are isolated as well
(Unicode Bidirectional Algorithm, UAX #9, 2.4 and 6.3).
"""

from __future__ import annotations

import re
from pathlib import Path

# Marks that embed, override and isolate.
MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Letters from right to left: Hebrew to Arabic Extended-A, their presentation forms, and what lies
# beyond the first 65,536.
_LETTER = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
# Words with one space or dash between them are one name.
_WORDS = re.compile(f"{_LETTER}+(?:[ \\-'’]{_LETTER}+)*")
# What is no text of a page: its tags, and what a tag within would spoil.
_OTHER = re.compile(
    r"<(script|style|title|textarea|option|svg)\b.*?</\1\s*>|<!--.*?-->"
    r"""|<[A-Za-z/!](?:[^<>"']|"[^"]*"|'[^']*')*>""",
    re.DOTALL | re.IGNORECASE,
)
_FIRST, _LAST = "\u2068", "\u2069"  # first strong isolate, pop directional isolate


def read_script() -> str:
    """Return `isolate(name)` in JavaScript, for pages that write names themselves."""
    return Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


def show_marks(text: str) -> str:
    """Return a text whose marks are shown by their numbers and turn nothing around."""
    return MARKS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text)


def isolate_text(text: str) -> str:
    """Return a text for where no tags can stand: its names are isolated by signs."""
    return _WORDS.sub(lambda words: f"{_FIRST}{words[0]}{_LAST}", show_marks(text))


def isolate_html(page: str) -> str:
    """Return a page whose names are isolated in its texts; tags and scripts stay as they are."""
    parts, end = [], 0
    for other in _OTHER.finditer(page):
        is_text = (other[1] or "").lower() in ("title", "option")
        parts += [
            _isolate(page[end : other.start()]),
            show_marks(other[0]) if is_text else other[0],
        ]
        end = other.end()
    return "".join([*parts, _isolate(page[end:])])


def _isolate(text: str) -> str:
    return _WORDS.sub(lambda words: f"<bdi>{words[0]}</bdi>", show_marks(text))
