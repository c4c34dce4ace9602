"""Files whose names say that a program made them of one photo.

Turned by ten degrees, sheared or blurred, a copy may be past recognition; the programs that make
such copies by the dozen keep the photo's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_HEX = "[0-9a-f]"
_MADE_OF = (
    # Roboflow: IMG_1_jpg.rf.0123456789abcdef0123456789abcdef.jpg
    re.compile(rf"^(?P<photo>.+)\.rf\.{_HEX}{{16,}}\.\w+$", re.IGNORECASE),
    # Augmentor: cats_original_IMG_1.jpg_01234567-89ab-cdef-0123-456789abcdef.jpg
    re.compile(
        rf"^(?P<photo>.*_original_.+)_{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}\.\w+$",
        re.IGNORECASE,
    ),
)


def name_photo(path: str) -> str:
    """Return the name of the photo that a file was made of, empty where its name does not say."""
    name = path.rsplit("/", 1)[-1]
    for pattern in _MADE_OF:
        if found := pattern.match(name):
            return found["photo"]
    return ""


def link_exports(paths: Iterable[str]) -> tuple[list[int], list[int]]:
    """Return positions of files and of the first file that was made of the same photo."""
    first: dict[str, int] = {}
    links = [
        (first.setdefault(photo, position), position)
        for position, path in enumerate(paths)
        if (photo := name_photo(path))
    ]
    return [start for start, _ in links], [end for _, end in links]
