"""The folders of a listing, with what lies directly in each and below it."""

from __future__ import annotations

from components.validate.folders.listing import EXPORTED, Listing, is_image_name, suffix_of
from components.validate.folders.words import is_side_folder, is_wrapper


class Tree:
    """The folders of a listing, with what lies directly in each and below it."""

    def __init__(self, listing: Listing) -> None:
        self.direct: dict[str, int] = {}  # folder, with `/` behind it → files named as images
        self.total: dict[str, int] = {}
        self.photos: dict[str, int] = {}  # of the total those that may be images, by their names
        self.inner: dict[str, list[str]] = {}
        self.with_table = {
            path[: path.rfind("/") + 1] for path in listing.tables if suffix_of(path) in EXPORTED
        }
        folders = {f"{name}/" for name in listing.folders}
        for path in listing.paths:
            above = path[: path.rfind("/") + 1]
            self.total[above] = self.total.get(above, 0) + 1
            if is_image_name(path):
                self.direct[above] = self.direct.get(above, 0) + 1
            if is_image_name(path) or not suffix_of(path):
                self.photos[above] = self.photos.get(above, 0) + 1
        for name in sorted(folders, key=lambda name: -name.count("/")):
            above = name[: name.rfind("/", 0, -1) + 1]
            self.inner.setdefault(above, []).append(name)
            self.total[above] = self.total.get(above, 0) + self.total.get(name, 0)
            self.photos[above] = self.photos.get(above, 0) + self.photos.get(name, 0)
        for names in self.inner.values():
            names.sort()

    def list_inner(self, folder: str) -> list[str]:
        """Return the folders in a folder in which anything lies, side folders left out."""
        inner = [name for name in self.inner.get(folder, []) if self.total.get(name)]
        sides = self.list_sides(folder)
        return [name for name in inner if name not in sides]

    def depth(self, folder: str) -> int:
        """Return how many folders lie in each other below a folder."""
        return max((1 + self.depth(name) for name in self.list_inner(folder)), default=0)

    def list_sides(self, folder: str) -> list[str]:
        """Return the folders of annotations or masks that lie beside a folder of images."""
        inner = self.inner.get(folder, [])
        filled = [name for name in inner if self.total.get(name)]
        sides = [name for name in inner if is_side_folder(last_name(name))]
        # `images` beside `masks`; and what holds no image at all is no class if it is so named.
        if any(is_wrapper(last_name(name)) for name in filled):
            return sides
        return [name for name in sides if not self.total.get(name)]


def last_name(folder: str) -> str:
    """Return the name of a folder without those it lies in."""
    return folder.rstrip("/").rsplit("/", 1)[-1]


def lies_in(path: str, folders: set[str]) -> bool:
    """Whether a file lies in one of some folders, however deep."""
    cut = path.rfind("/")
    while cut >= 0:
        if path[: cut + 1] in folders:
            return True
        cut = path.rfind("/", 0, cut)
    return False
