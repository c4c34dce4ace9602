"""A plain PyTorch training loop, for benchmarks/train.py: it needs nothing but PyTorch.

It trains on one batch again and again: AdamW, label smoothing, BatchNorm frozen, as train does. For
each line that it is given it does some steps and answers with the seconds and CPU seconds of each
way, as JSON: images one after the other in memory, or channels last, which is faster on some CPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch


def main() -> None:
    """Answer as long as lines come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--size-px", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    flags = parser.parse_args()
    ways = {
        "channels first": create_steps(flags, torch.contiguous_format),
        "channels last": create_steps(flags, torch.channels_last),
    }
    if flags.compile:
        ways["compiled"] = create_steps(flags, torch.channels_last, compiled=True)
    for run in ways.values():  # the first step finds its kernels
        run(2)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(json.dumps({"version": torch.__version__, "device": device}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({name: measure(run, flags.steps) for name, run in ways.items()}))
        sys.stdout.flush()


def measure(run: Callable[[int], None], steps: int) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of one step."""
    before = os.times()
    start = time.perf_counter()
    run(steps)
    seconds = time.perf_counter() - start
    after = os.times()
    return seconds / steps, (sum(after[:2]) - sum(before[:2])) / steps


def create_steps(flags: Any, layout: Any, compiled: bool = False) -> Callable[[int], None]:
    """Return a function that trains for some steps."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    model = create_model(flags.backbone).to(device, memory_format=layout).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
            module.requires_grad_(False)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-6, weight_decay=0.05)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    shape = (flags.batch_size, 3, flags.size_px, flags.size_px)
    images = torch.randn(shape, device=device).to(memory_format=layout)
    labels = torch.randint(0, 10, (flags.batch_size,), device=device)
    forward = torch.compile(model) if compiled else model

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device, torch.bfloat16, enabled=flags.bfloat16):
                loss = loss_of(forward(images), labels)
            loss.backward()
            optimizer.step()
        loss.item()  # waits for the device

    return run


def create_model(backbone: str) -> Any:
    """Return the network with ten classes; its weights do not matter for its speed."""
    if backbone == "EfficientNetLite0":
        from efficientnet_lite_pytorch import EfficientNet

        return EfficientNet.from_name("efficientnet-lite0", num_classes=10, drop_connect_rate=0)
    import torchvision

    return getattr(torchvision.models, backbone.lower())(num_classes=10)


if __name__ == "__main__":
    main()
