"""What lies in an image's place under its name: a pointer, a server's answer, a mangled copy."""

from __future__ import annotations

import re

LOOKED_AT = 4096
_SENT = "a server's answer instead of the picture, such as that it is gone or wants a login"
_KINDS = (
    (rb"outs:\s*\n\s*- (md5|hash|size|path|etag)", "a pointer of DVC; run `dvc pull`"),
    (rb"(\.\./)*(\.git)?/?annex/objects/", "a pointer of git-annex; run `git annex get`"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself; run `git lfs pull`"),
    (rb"\[InternetShortcut\]", "a link to a web page"),
    (rb"\x00\x05\x16[\x00\x07]", "what macOS puts beside a file, not the file itself"),
    (rb"(<\?xml[^>]*>\s*)?<Error>", _SENT),
    (rb"\{\s*\"(error|errors|message|detail|status|code)\"", _SENT),
    (rb"(Access denied|Forbidden|Not Found|404|403|Unauthorized)\b", _SENT),
    (rb"(data:image/[a-z.+-]+;base64,|/9j/|iVBORw0KGgo|R0lGOD|UklGR)", "a picture as base64 text"),
    (rb"\xef\xbf\xbd\xef\xbf\xbd|\xc3\xbf\xc3\x98\xc3\xbf", "a picture that was saved as text"),
    (rb"\xef\xbf\xbdPNG|\xc2\x89PNG", "a picture that was saved as text"),
    (rb"\x00+\Z", "it begins with nothing but zeros, as a copy that broke off does"),
)


def name_stand_in(data: bytes) -> str:
    """Return what a file is that has a picture's name and is none; empty if that is not known."""
    start = data[:LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return next((name for pattern, name in _KINDS if re.match(pattern, start, re.I)), "")
