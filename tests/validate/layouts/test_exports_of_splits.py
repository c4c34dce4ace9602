"""Labels and tables of one split, and JSON of annotators, as sites and programs export them."""

import json

import pytest

from .test_folders import read, refuse
from .test_layout import touch
from .test_tables import labels, write


def test_a_table_for_a_split_without_class_folders(tmp_path):
    """As in public sets of traffic signs: class folders to train on, a table for the test."""
    touch(tmp_path, *(f"Train/{i % 2}/{i}.png" for i in range(6)), "Test/a.png", "Test/b.png")
    touch(tmp_path, "Meta/0.png", "Meta/1.png")
    write(tmp_path, "Meta.csv", "Path,ClassId\nMeta/0.png,0\nMeta/1.png,1\n")
    rows = "".join(f"{i % 2},Train/{i % 2}/{i}.png\n" for i in range(6))
    write(tmp_path, "Train.csv", "ClassId,Path\n" + rows)
    write(tmp_path, "Test.csv", "ClassId,Path\n1,Test/a.png\n0,Test/b.png\n")
    layout = read(tmp_path)
    assert len(layout.files) == 8
    found = layout.files.set_index("path")
    assert found.loc["Test/a.png", ["label", "split"]].tolist() == ["1", "test"]
    assert found.loc["Train/1/3.png", ["label", "split"]].tolist() == ["1", "train"]
    assert "labels from Test.csv: 2 rows" in layout.notes
    (tmp_path / "Test.csv").unlink()
    assert any("Test: 2 images with no labels" in note for note in read(tmp_path).notes)


def test_a_table_in_each_split_under_another_name(tmp_path):
    """As Roboflow exports it: a column a class, a space before each name."""
    for split in ("train", "valid"):
        touch(tmp_path, *(f"{split}/{split}{i}.jpg" for i in range(4)))
        rows = "".join(f"{split}{i}.jpg, {1 - i % 2}, {i % 2}\n" for i in range(4))
        write(tmp_path, f"{split}/_classes.csv", "filename, cat, dog\n" + rows)
    files = read(tmp_path).files.set_index("path")
    assert files.loc["valid/valid1.jpg", ["label", "split"]].tolist() == ["dog", "val"]
    assert len(files) == 8


def test_a_train_without_labels_beside_a_test_with_some_is_refused(tmp_path):
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "test/cat/1.jpg", "test/dog/1.jpg")
    assert "train: 2 images to train on, and nothing says of which class" in refuse(tmp_path)


@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv", "train.csv"])
def test_one_folder_around_images_and_their_table(tmp_path, name):
    """As an archive of it unpacks."""
    touch(tmp_path, "holiday/1.jpg", "holiday/2.jpg")
    write(tmp_path, f"holiday/{name}", "image,label\n1.jpg,cat\n2.jpg,dog\n")
    assert labels(read(tmp_path)) == {"holiday/1.jpg": "cat", "holiday/2.jpg": "dog"}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("val.txt", "pics/1.jpg 65\npics/2.jpg 970\n", ("65", "970")),
        ("variants.txt", "1 Boeing 737\n2 A 320\n", ("Boeing 737", "A 320")),
        ("list.lst", "0\t65\tpics/1.jpg\n1\t970\tpics/2.jpg\n", ("65", "970")),
        ("boxes.txt", "1.jpg\tn01\t0\t0\t6\t6\n2.jpg\tn02\t0\t0\t6\t6\n", ("n01", "n02")),
        ("list.txt", "# name kind\n1 cat\n2 dog\n", ("cat", "dog")),
        (
            "LOC_val_solution.csv",
            "id,boxes\n1,n01 1 2 3 4 n01 5 6 7 8\n2,n02 1 2 3 4 \n",
            ("n01", "n02"),
        ),
    ],
)
def test_a_list_of_names_and_labels(tmp_path, name, text, told):
    touch(tmp_path, "pics/1.jpg", "pics/2.jpg", "pics/README.txt")
    write(tmp_path, name, text)
    files = read(tmp_path).files
    assert dict(zip(files["path"], files["label"], strict=True)) == {
        f"pics/{i}.jpg": label for i, label in enumerate(told, 1)
    }


def test_a_list_of_the_labels_of_one_split(tmp_path):
    """As Tiny ImageNet has it: class folders in train, none in val."""
    images = [f"t/train/{c}/images/{c}_{i}.JPEG" for c in ("n01", "n02") for i in range(2)]
    touch(tmp_path, *images, "t/val/images/v0.JPEG", "t/val/images/v1.JPEG", "t/test/images/1.JPEG")
    write(tmp_path, "t/val/val_annotations.txt", "v0.JPEG\tn02\t0\t0\nv1.JPEG\tn01\t0\t0\n")
    write(tmp_path, "t/words.txt", "n01\tcat\nn02\tdog\n")
    files = read(tmp_path).files
    assert files[files["split"] == "val"]["label"].tolist() == ["n02", "n01"]
    assert len(files) == 6


IMAGES = ("images/0.jpg", "images/1.jpg")


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "project-1.json",  # Label Studio
            [
                {
                    "id": 7 + i,
                    "annotations": [{"result": [{"value": {"choices": [label]}, "id": "x"}]}],
                    "data": {"image": f"/data/upload/1/3fa2b1c0-{i}.jpg"},
                    "meta": {},
                }
                for i, label in enumerate(("cat", "dog"))
            ],
        ),
        (
            "export.json",  # Azure Custom Vision
            [
                {"url": f"https://x.blob/{i}.jpg?se=1", "tags": [{"tagName": t, "tagId": "1"}]}
                for i, t in enumerate(("cat", "dog"))
            ],
        ),
        (
            "import.jsonl",  # Vertex AI
            [
                {
                    "imageGcsUri": f"gs://bucket/{i}.jpg",
                    "classificationAnnotation": {"displayName": t},
                    "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": "training"},
                }
                for i, t in enumerate(("cat", "dog"))
            ],
        ),
    ],
)
def test_labels_in_objects_that_lie_in_each_other(tmp_path, name, rows):
    touch(tmp_path, *IMAGES)
    lines = [json.dumps(row) for row in rows]
    text = "\n".join(lines) if name.endswith("l") else f"[{', '.join(lines)}]"
    layout = read(write(tmp_path, name, text))
    assert labels(layout) == dict(zip(IMAGES, ("cat", "dog"), strict=True))
    assert set(layout.files["split"]) == {"train" if name == "import.jsonl" else ""}


def test_coco_in_each_split(tmp_path):
    """As Roboflow exports it."""
    for split in ("train", "valid"):
        touch(tmp_path, f"{split}/1.jpg", f"{split}/2.jpg")
        coco = {
            "images": [{"id": i, "file_name": f"{i}.jpg"} for i in (1, 2)],
            "annotations": [{"image_id": i, "category_id": i} for i in (1, 2)],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        }
        write(tmp_path, f"{split}/_annotations.coco.json", json.dumps(coco))
    files = read(tmp_path).files
    assert files["label"].tolist() == ["cat", "dog"] * 2
    assert files["split"].tolist() == ["train"] * 2 + ["val"] * 2
