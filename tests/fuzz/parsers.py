"""Every parser of ours that reads what somebody else wrote.

Of any bytes it may say, as a DarkroomError, what is wrong. Any other exception is a fault, and so
is a parser that takes seconds or gigabytes.
"""

from __future__ import annotations

from tests.fuzz import asked, carried, given, handed_on, networks
from tests.fuzz.parser import Parser

PARSERS: dict[str, Parser] = {
    **given.PARSERS,
    **asked.PARSERS,
    **networks.PARSERS,
    **handed_on.PARSERS,
    **carried.PARSERS,
}
