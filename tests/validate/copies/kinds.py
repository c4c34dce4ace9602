"""What people do to a photo: each kind of copy, made by Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

Change = Callable[[Image.Image], Image.Image]


def save(image: Image.Image, quality: int = 85) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut off shares of the sides."""
    width, height = image.size
    return image.crop(
        (
            round(width * left),
            round(height * top),
            round(width * (1 - right)),
            round(height * (1 - bottom)),
        )
    )


def cut_centre(image: Image.Image) -> Image.Image:
    side = min(image.size)
    return ImageOps.fit(image, (side, side))


def pad(image: Image.Image, colour: str) -> Image.Image:
    side = max(image.size)
    return ImageOps.pad(image, (side, side), color=colour)


def write_over(image: Image.Image, share: float) -> Image.Image:
    """Write a caption on a black band over the lowest share of the picture."""
    done = image.copy()
    width, height = done.size
    high = round(height * share)
    draw = ImageDraw.Draw(done)
    draw.rectangle((0, height - high, width, height), fill="black")
    font = ImageFont.load_default(max(8, round(high * 0.6)))
    draw.text((4, height - high), "Photo: somebody", fill="white", font=font)
    return done


def write_below(image: Image.Image, share: float) -> Image.Image:
    """Write a caption on a white bar below the picture."""
    width, height = image.size
    high = round(height * share)
    done = Image.new("RGB", (width, height + high), "white")
    done.paste(image)
    font = ImageFont.load_default(max(8, round(high * 0.6)))
    ImageDraw.Draw(done).text((4, height), "Photo: somebody", fill="black", font=font)
    return done


KINDS: dict[str, Change] = {
    "smaller": lambda image: save(ImageOps.scale(image, 0.5), 80),
    "saved with loss": lambda image: save(image, 30),
    "brighter": lambda image: save(ImageEnhance.Brightness(image).enhance(1.2)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": lambda image: save(ImageOps.mirror(image)),
    "turned by 90°": lambda image: save(image.transpose(Image.Transpose.ROTATE_90)),
    "turned by 180°": lambda image: save(image.transpose(Image.Transpose.ROTATE_180)),
    "turned by 270°": lambda image: save(image.transpose(Image.Transpose.ROTATE_270)),
    "cut by 5 % at each side": lambda image: save(cut(image, 0.05, 0.05, 0.05, 0.05)),
    "cut by 5 % in all": lambda image: save(cut(image, 0.025, 0.025, 0.025, 0.025)),
    "cut by 5 % at two sides": lambda image: save(cut(image, 0.05, 0.05, 0, 0)),
    "cut by 5 % at one side": lambda image: save(cut(image, 0, 0, 0.05, 0)),
    "centre": lambda image: save(cut_centre(image)),
    "padded, white": lambda image: save(pad(image, "white")),
    "padded, black": lambda image: save(pad(image, "black")),
    "captioned over": lambda image: save(write_over(image, 0.12)),
    "captioned below": lambda image: save(write_below(image, 0.1)),
    "mirrored and cut": lambda image: save(cut(ImageOps.mirror(image), 0.04, 0, 0, 0.03)),
    "turned and padded": lambda image: save(
        pad(image, "white").transpose(Image.Transpose.ROTATE_90)
    ),
}
