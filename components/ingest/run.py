"""Ingest: a bundled data set, an archive or a store → a folder of images in class folders."""

from __future__ import annotations

from components.common.files.ownership import check_apart, find_real
from components.common.files.writing import write_text, writing_folder
from components.common.settings.addresses import hide_secrets
from components.common.terminal import Stopwatch, count_of, say
from components.ingest.contents import count_images
from components.ingest.digits import write_digits
from components.ingest.download import bring
from components.ingest.spec import Inputs, Outputs, Params


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Fill the folder of images, or leave it empty where the pipeline reads another folder."""
    watch = Stopwatch()
    elsewhere = find_real(inputs.source) != find_real(outputs.images)
    if elsewhere:
        check_apart({"source": inputs.source}, {"images": outputs.images})
    with writing_folder(outputs.images, "ingest") as folder:
        if elsewhere:
            words = f"nothing to bring in: the pipeline reads {inputs.source}"
            # DVC warns of an empty folder, and a person who opens it wonders.
            write_text(folder / "README.txt", f"{words} (data.source in params.yaml)\n")
            say(words)
            return
        if params.source == "digits":
            write_digits(folder)
        else:
            # On the disk of the images: where they will have room, so has the archive.
            bring(params.source, params.sha256, folder, outputs.images.parent)
        count = count_images(folder)
    found = count_of(count, "image")
    say(f"{found} from {hide_secrets(params.source)} in {outputs.images} ({watch})")
