"""Make the Data Docs site of Great Expectations readable without a network.

Its pages load their style and scripts from other people's servers: on a machine that reaches none
they are bare and half of them empty. Here they get a style of their own and load nothing. Their two
buttons, Show All and Failed Only, need no script: the style looks which is chosen.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from components.common.files.bidi import isolate_html

STYLE = Path(__file__).parent / "templates" / "site.css"
FOREIGN = re.compile(
    r"<script\b.*?</script\s*>"
    r"|<(?:link|img)\b[^>]*\bhttps?://[^>]*>"
    r"|<link\b[^>]*\bshortcut icon\b[^>]*>"
    r"|<footer>.*?</footer>"
    r'| onclick="(?:showAll|hideSucceeded)Validations\(\)"',
    re.DOTALL | re.IGNORECASE,
)

POLICY = (  # no script runs, nothing is loaded
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
)


def make_self_contained(site: Path) -> None:
    """Rewrite all pages of a site so that they need nothing but themselves."""
    own = f"{POLICY}<style>{STYLE.read_text(encoding='utf-8')}</style>"
    for page in site.rglob("*.html"):
        html = FOREIGN.sub("", page.read_text(encoding="utf-8"))
        html = isolate_html(html.replace("</head>", f"{own}</head>", 1))
        page.write_text(html, encoding="utf-8")
    shutil.rmtree(site / "static", ignore_errors=True)
