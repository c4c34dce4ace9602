"""The page for people: photos in, answers out, with what speaks for them and how sure they are."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from components.common.files.bidi import read_script
from components.common.images.uris import encode_image
from components.common.serving.batching import Answer
from components.predict.serve.app import Service, catch, name_model
from components.predict.serve.champion import Loaded
from components.predict.serve.explain import compute_falls

PAGE, BIDI = Path(__file__).with_name("page.html"), "// bidi.js comes here.\n"
# The page is all there is: no address but its own is asked for anything.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def create_routes(service: Service) -> list[Route]:
    """Return the routes of the page: itself, and what it asks about a photo."""
    page = PAGE.read_text(encoding="utf-8").replace(BIDI, read_script())

    async def show(request: Request) -> Response:
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return Response(page, media_type="text/html", headers=headers)

    return [
        Route("/", show),
        Route("/explain", catch(Explainer(service).explain), methods=["POST"]),
    ]


class Explainer:
    """Answers about one photo, with the reasons."""

    def __init__(self, service: Service) -> None:
        """One photo is explained at a time: it costs a hundred forward passes."""
        self._service, self._turn = service, asyncio.Lock()

    async def explain(self, request: Request) -> Response:
        """Return the answer about a picture, what the network saw of it, and where it looked."""
        with self._service.room.holding() as share:
            _, loaded, (answer, *_) = await self._service.ask(request, share)
        found = loaded.describe(answer) | {
            "unsure_below": loaded.decisions.unsure_below,
            "name": loaded.name,
            "version": loaded.version,
        }
        if answer.pixels is not None and answer.probabilities is not None:
            async with self._turn:
                found |= await asyncio.to_thread(_find_reasons, loaded, answer)
        return JSONResponse(found, headers=name_model(loaded))


def _find_reasons(loaded: Loaded, answer: Answer) -> dict[str, Any]:
    assert answer.pixels is not None
    assert answer.probabilities is not None
    best = int(loaded.decisions.decide(answer.probabilities[None])[0])
    falls = compute_falls(loaded.classifier, answer.pixels, best)
    seen = encode_image(Image.fromarray(answer.pixels), "PNG")
    return {"seen": seen, "falls": falls.round(4).tolist()}
