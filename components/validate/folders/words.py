"""What people call their folders: splits, side folders, wrappers, and how names are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

TRAIN, VAL, TEST = "train", "val", "test"
# In any case, with or without what stands in NEUTRAL around it: Training, test_images, val2017.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval", "learn", "learning"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev"), VAL),
    **dict.fromkeys(("development", "eval", "evaluation", "vali"), VAL),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), TEST),
    # French, Spanish, Portuguese, Italian, Dutch, Polish, Czech
    **dict.fromkeys(("entrainement", "entraînement", "apprentissage", "entrenamiento"), TRAIN),
    **dict.fromkeys(("treino", "treinamento", "addestramento", "trening", "uczenie"), TRAIN),
    **dict.fromkeys(("treningowe", "treningowy", "treningowa", "uczące", "uczący"), TRAIN),
    **dict.fromkeys(("trénink", "trénovací", "tréninková", "oefen", "aprendizaje"), TRAIN),
    **dict.fromkeys(("validación", "validacion", "validação", "validacao", "ověřovací"), VAL),
    **dict.fromkeys(("validazione", "convalida", "validatie", "walidacja", "validační"), VAL),
    **dict.fromkeys(("walidacyjne", "walidacyjny", "walidacyjna", "évaluation"), VAL),
    **dict.fromkeys(("evaluación", "evaluacion", "avaliação", "avaliacao", "valutazione"), VAL),
    **dict.fromkeys(("prueba", "pruebas", "teste", "testes", "testowy", "testowe"), TEST),
    **dict.fromkeys(("testowa", "testovací", "testen", "toets", "essai", "essais", "prova"), TEST),
    # German, Swedish, Danish, Turkish, Indonesian
    **dict.fromkeys(("träning", "træning", "eğitim", "egitim", "latih", "pelatihan"), TRAIN),
    **dict.fromkeys(("validierung", "validering", "doğrulama", "dogrulama", "validasi"), VAL),
    **dict.fromkeys(("uji", "pengujian"), TEST),
    # Russian, Ukrainian, Arabic, Chinese, Japanese, Korean
    **dict.fromkeys(("обучение", "тренировка", "обучающая", "трейн", "навчання", "تدريب"), TRAIN),
    **dict.fromkeys(("валидация", "проверка", "валидационная", "перевірка", "تحقق"), VAL),
    **dict.fromkeys(("тест", "тестовая", "тестирование", "тестування", "اختبار"), TEST),
    **dict.fromkeys(("训练", "訓練", "学習", "学習用", "훈련", "학습"), TRAIN),
    **dict.fromkeys(("验证", "驗證", "検証", "検証用", "검증"), VAL),
    **dict.fromkeys(("测试", "測試", "テスト", "評価用", "테스트", "시험"), TEST),
}
VAL_WORDS = {word for word, split in SPLIT_WORDS.items() if split == VAL}
# Where another folder is val already, these are the test: a split is one of three.
SECOND_CHOICE = dict.fromkeys(
    ("eval", "evaluation", "évaluation", "evaluación", "evaluacion", "avaliação", "avaliacao"), TEST
)
# Words of splits that are classes as well, of vehicles, of coins, of firms.
HOMONYMS = {"train", "valid", "dev", "learn", "learning", "development"}
# What stands behind a split's name without a gap: trainset, Trainingsdaten, 训练集.
TAILS = (
    *("dataset", "images", "image", "imgs", "img", "data", "set", "datensatz", "daten", "bilder"),
    *("bild", "fotos", "satz", "menge", "beelden", "数据集", "数据", "集", "データ", "데이터"),
)
NEUTRAL = {
    *("set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "photo"),
    *("photos", "picture", "pictures", "pics", "dir", "folder", "folders", "split", "part", "the"),
    *("sample", "samples", "files", "jpg", "jpeg", "png", "class", "classes", "cls", "all", "new"),
    # Behind the name of a split, in other languages.
    *("dane", "zbiór", "zbior", "données", "donnees", "datos", "dados", "dati", "gegevens", "veri"),
    *("verisi", "данные", "выборка", "daten", "bilder", "fotos", "imágenes", "imagenes", "imagens"),
    *TAILS,
}
BARE = "\u00ad\u200b\u200e\u200f\u2060\ufeff"  # soft hyphen, zero width, marks of direction
UNLABELLED = {
    *("pred", "predict", "prediction", "predictions", "unlabelled", "unlabeled", "inference"),
    *("submission", "unknown", "unsorted", "nolabel", "nolabels", "score", "scoring", "private"),
}
SIDE_FOLDERS = {
    *("annotation", "annotations", "annot", "annots", "anno", "label", "labels", "mask", "masks"),
    *("xml", "xmls", "json", "jsons", "bbox", "bboxes", "box", "boxes", "trimap", "trimaps"),
    *("segmentation", "segmentations", "segmentationclass", "segmentationobject", "imagesets"),
    *("metadata", "meta", "groundtruth", "gt", "landmarks", "keypoints", "attributes", "doc"),
    *("docs", "script", "scripts", "notebook", "notebooks", "code", "readme", "txt", "csv"),
}
WRAPPERS = {
    *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pics", "raw"),
    *("jpegimages", "jpg", "jpgs", "jpeg", "jpegs", "png", "pngs", "data", "dataset", "files"),
}


def normalise(text: str) -> str:
    """Return a text in Unicode NFC: macOS writes é as e and an accent, most others as one."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Return what two texts have in common that differ only in case and in form."""
    return normalise(normalise(text).casefold())


def plain(text: str) -> str:
    """Return a folded text without spaces and punctuation; letters and marks of any script stay.

    Wide and narrow forms of a letter are one, and what is never seen plays no part.
    """
    form = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return "".join(
        c for c in fold(form) if unicodedata.category(c)[0] not in "PZ" and c not in BARE
    )


def split_words(name: str) -> list[str]:
    """Return the words of a folder's name, folded: `TrainImages_2` gives train, images."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", normalise(name))
    words = [word for word in re.split(r"[\W\d_]+", apart.casefold()) if word]
    joined = f" {' '.join(words)} "
    for parts in ("hold out", "held out", "train val"):
        joined = joined.replace(f" {parts} ", f" {parts.replace(' ', '')} ")
    return [part for word in joined.split() for part in _part(word)]


def name_splits(names: Iterable[str]) -> dict[str, str]:
    """Return which of the folders are named as splits, and as which.

    A word that is not neutral, as in `seg_train`, must stand in the names of other splits too:
    `train_station` beside `bus` is none.
    """
    found: dict[str, str] = {}
    rests: dict[str, tuple[str, ...]] = {}
    for name in names:
        words = split_words(name)
        said = [word for word in words if word in SPLIT_WORDS]
        if len(set(said)) != 1:
            continue
        found[name] = said[0]
        rests[name] = tuple(w for w in words if w not in SPLIT_WORDS and w not in NEUTRAL)
    # PublicTest and PrivateTest beside Training, as Kaggle had its leaderboards.
    boards = {rests[name]: name for name, word in found.items() if SPLIT_WORDS[word] == TEST}
    if {("public",), ("private",)} == set(boards) and not VAL_WORDS & set(found.values()):
        found[boards["public",]] = "val"
        rests |= dict.fromkeys(boards.values(), ())
    # seg_train and seg_test; of train_cat, train_dog, test_cat nobody can say what they are.
    affixes = {rest for rest in rests.values() if rest}
    meant = {SPLIT_WORDS[word] for name, word in found.items() if rests[name]}
    is_affix = len(affixes) == 1 and len(meant) > 1
    told = {name: word for name, word in found.items() if is_affix or not rests[name]}
    has_val = any(SPLIT_WORDS[w] == VAL and w not in SECOND_CHOICE for w in told.values())
    has_test = any(SPLIT_WORDS[w] == TEST for w in told.values())
    second = SECOND_CHOICE if has_val and not has_test else {}
    return {name: second.get(word, SPLIT_WORDS[word]) for name, word in told.items()}


def name_split(value: str) -> str:
    """Return the split that a single word or name means, empty if none."""
    return name_splits([value]).get(value, "")


def sounds_like_split(name: str) -> str:
    """Return the split whose word stands anywhere in a name, empty if there is none."""
    said = {SPLIT_WORDS[word] for word in split_words(name) if word in SPLIT_WORDS}
    return said.pop() if len(said) == 1 else ""


def is_homonym(name: str) -> bool:
    """Whether a split's name is as likely that of a class: train, valid."""
    return fold(name) in HOMONYMS


def is_unlabelled(name: str) -> bool:
    """Whether a folder is named as one of images to predict."""
    words = split_words(name)
    return bool(words) and (
        any(word in UNLABELLED for word in words) or SPLIT_WORDS.get(words[-1]) == TEST
    )


def is_side_folder(name: str) -> bool:
    """Whether a folder is named as one of annotations, masks or the like."""
    words = split_words(name)
    if fold(name) in SIDE_FOLDERS:  # SegmentationObject
        return True
    return (
        bool(words)
        and all(w in SIDE_FOLDERS or w in NEUTRAL for w in words)
        and not is_wrapper(name)
    )


def is_wrapper(name: str) -> bool:
    """Whether a folder's name says only that images are in it."""
    words = split_words(name)
    return bool(words) and all(word in WRAPPERS for word in words)


def _part(word: str) -> list[str]:
    """Return trainset as train, set, and Trainingsdaten as training, daten; other words whole."""
    for tail in TAILS:
        head = word.removesuffix(tail)
        for name in (head, head.removesuffix("s")):
            if head != word and name in SPLIT_WORDS:
                return [name, tail]
    return [word]
