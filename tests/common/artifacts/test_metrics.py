"""Figures by name: what promote's rules may say."""

from components.common.artifacts.metrics import list_figures


def test_numbers_go_by_dotted_names() -> None:
    found = list_figures(
        {
            "accuracy": 0.9,
            "macro": {"f1": 0.8},
            "weakest_class": {"name": "shirt", "f1": 0.5},
            "intervals": {"accuracy": [0.85, 0.95], "macro.f1": [0.7, 0.9]},
            "classes": [
                {"name": "shirt", "images": 7, "recall": 0.5, "recall_interval": [0.2, 0.8]}
            ],
            "slices": [{"name": "camera.phone", "accuracy": 0.7, "is_worse": True, "f1": None}],
            "confusion": [[1, 2], [3, 4]],
            "reliability": [{"low": 0.0, "images": 3}],
            "notes": ["a text"],
        }
    )
    assert found == {
        "accuracy": 0.9,
        "macro.f1": 0.8,
        "weakest_class.f1": 0.5,
        "accuracy.low": 0.85,
        "accuracy.high": 0.95,
        "macro.f1.low": 0.7,
        "macro.f1.high": 0.9,
        "classes.shirt.images": 7,
        "classes.shirt.recall": 0.5,
        "classes.shirt.recall.low": 0.2,
        "classes.shirt.recall.high": 0.8,
        "slices.camera.phone.accuracy": 0.7,
    }
