"""Which encoding names are in that do not say it: told by what letters they would be."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WESTERN = "cp1252"
# Encodings of a byte a letter, the script of all their letters, and the commonest of these.
SCRIPTS = {
    "cp866": ("CYRILLIC", "оеаинтсрвлкмдпу"),  # of a Russian Windows in its zips
    "cp1251": ("CYRILLIC", "оеаинтсрвлкмдпу"),
    "koi8-r": ("CYRILLIC", "оеаинтсрвлкмдпу"),
    "cp1253": ("GREEK", "αοιετσνηςάίόέ"),
    "cp1255": ("HEBREW", "יוהלאתרמבנש"),
    "cp1256": ("ARABIC", "الينمرتبوةدقكس"),
    "cp874": ("THAI", "านรกอเงมยลว่ีัสุแ"),
}
OFTEN = 0.5  # of the letters, and more, are of the commonest
# First bytes of common characters; where another encoding is taken for this one, rare ones come.
EAST_ASIAN = {
    "cp932": {0x82, 0x83, *range(0x88, 0x98)},  # kana, and kanji of the first level
    "gb18030": set(range(0xB0, 0xD8)),
    "euc_kr": set(range(0xB0, 0xC9)),
    "big5": set(range(0xA4, 0xC7)),
}
COMMON = 0.8  # of the characters
# So many characters of Korean are hardly ever Chinese by chance, and fewer may well be.
SURELY_KOREAN = 8


def guess_encoding(names: Sequence[bytes], usual: str) -> str:
    """Return the encoding of some names, which are not UTF-8.

    Args:
        names: as they stand in the archive.
        usual: the encoding that the writing system would use in Western Europe; taken where its
            letters make sense, and where no other's do.
    """
    # Polish and Czech want their own, and letters of all others look like those of the West.
    for encoding in (usual, "cp1250") if usual == WESTERN else (usual,):
        text = _decode(names, encoding) or ""
        is_mixed = usual != WESTERN or all(map(_is_mixed, _find_words(text)))
        if text and is_mixed and all(map(_is_letter, _list_others(text))):
            return encoding
    often = {encoding: _share_often(names, encoding) for encoding in SCRIPTS}
    best = max(often, key=lambda encoding: often[encoding])
    if max(often[best]) > OFTEN:
        return best
    shares = {encoding: _share_common(names, encoding) for encoding in EAST_ASIAN}
    text = _decode(names, "euc_kr") or ""
    if shares["euc_kr"] == 1 and len(_list_others(text)) >= SURELY_KOREAN:
        return "euc_kr"
    best = max(shares, key=lambda encoding: shares[encoding])
    return best if shares[best] >= COMMON else usual


def _decode(names: Sequence[bytes], encoding: str) -> str | None:
    try:
        return "/".join(name.decode(encoding) for name in names)
    except UnicodeDecodeError:
        return None


def _list_others(text: str) -> list[str]:
    return [letter for letter in text if not letter.isascii()]


def _is_letter(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LM"


def _find_words(text: str) -> list[str]:
    """Return the words that are not of ASCII alone."""
    words = "".join(c if _is_letter(c) else " " for c in text).split()
    return [word for word in words if not word.isascii()]


def _is_mixed(word: str) -> bool:
    """Whether a word holds plain letters too, as words of the West do, or is a letter: à, Ö."""
    return len(word) == 1 or any(map(str.isascii, word))


def _share_often(names: Sequence[bytes], encoding: str) -> tuple[float, float]:
    """Return the share of letters that are common ones, small, and in any case.

    It is 0 where words hold letters of other scripts, or are of one or two letters alone.
    """
    script, common = SCRIPTS[encoding]
    text = _decode(names, encoding) or ""
    words = _find_words(text)
    letters = "".join(words)
    if not (
        all(map(_is_letter, _list_others(text)))
        and any(len(word) > 2 for word in words)
        and all(script in unicodedata.name(letter, "") for letter in letters)
    ):
        return 0.0, 0.0
    small, folded = (sum(c in common for c in form) for form in (letters, letters.lower()))
    return small / len(letters), folded / len(letters)


def _share_common(names: Sequence[bytes], encoding: str) -> float:
    letters = _list_others(_decode(names, encoding) or "")
    letters = [letter for letter in letters if not _is_wide_mark(letter)]
    # Halves of letters of the West come out as Japan's narrow letters, of a byte each.
    if not letters or not all(map(_is_letter, letters)):
        return 0.0
    codes = [letter.encode(encoding) for letter in letters]
    return sum(len(c) == 2 and c[0] in EAST_ASIAN[encoding] for c in codes) / len(codes)


def _is_wide_mark(letter: str) -> bool:
    """Whether it is a comma or the like of East Asia, or a letter of ours in their width."""
    return "\u3000" <= letter <= "\u303f" or "\uff01" <= letter <= "\uff60"
