"""The commands that README and docs give to be copied: in which order they are run, or where else.

A line of a page is known by its words up to `#`; what stands for something of the reader's own
(a version, a folder, an address, hours of trials) is swapped before a shell gets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.contract.commands import PAGES, ROOT, list_commands

CHAMPION = "models:/darkroom@champion"


@dataclass(frozen=True)
class Step:
    """One line of a page, as it is run."""

    line: str
    swaps: dict[str, str] = field(default_factory=dict)
    says: str = ""  # what must be in what it prints
    serves: str = ""  # it is a server, which answers here; it runs until the next server does

    @property
    def command(self) -> str:
        command = self.line
        for old, new in self.swaps.items():
            assert old in command, f"{self.line}: there is no {old}"
            command = command.replace(old, new)
        return command


SERVE = f"python -m components.predict serve --model {CHAMPION} --port 8080"
CURL = "curl -s localhost:8080/invocations -H 'Content-Type: "
QUEUE = "dvc exp run --queue -S 'train.finetune.learning_rate=1e-4,3e-4'"
WAIT = (
    "while dvc queue status > ../queue.txt; grep -Eq 'Queued|Running' ../queue.txt; do sleep 1; "
    "done; cat ../queue.txt; ! grep Failed ../queue.txt"
)
PIPELINE = "python -m pipelines predict --source"

# A newcomer's project, then the pages in an order in which each finds what it needs.
BEGIN = (
    Step(
        "git clone <this repository> darkroom && cd darkroom",
        {"<this repository>": "origin.git"},
    ),
)
STEPS = (
    Step("make init SOURCE=~/photos", says="make run"),
    Step("make run", says="promoted"),
    Step("source .venv/bin/activate", {"activate": "activate && command -v dvc"}, says=".venv"),
    Step("make format", says="left unchanged"),
    Step("pre-commit install", says="pre-commit installed at"),
    Step(SERVE, {"8080": "PORT"}, serves="http://localhost:PORT/health"),
    Step(f"{CURL}image/jpeg' --data-binary @photo.jpg", {"8080": "PORT"}, says="digit-"),
    Step(
        f"{CURL}application/json' "
        r'-d "{\"dataframe_records\": [{\"image\": \"$(base64 -w0 photo.jpg)\"}]}"',
        {"8080": "PORT"},
        says="digit-",
    ),
    Step(
        f"python -m components.predict page --model {CHAMPION}",
        {"champion": "champion --port PORT"},
        serves="http://localhost:PORT/",
    ),
    Step(
        f"mlflow models serve -m {CHAMPION} --env-manager local --port 8080",
        {"8080": "PORT"},
        serves="http://localhost:PORT/health",
    ),
    Step(
        f"python -m components.predict --model {CHAMPION} photo.jpg folder/ @list.txt",
        says="digit-",
    ),
    Step(
        "python -m components.predict --model models/model.keras folder --output answers.parquet "
        "--probabilities",
    ),
    Step(
        "find . -newer yesterday -print0 | python -m components.predict "
        "--model models/model.keras -",
        {"find .": "find photos photo.jpg"},
        says="digit-",
    ),
    Step(
        f"python -m components.predict watch --model {CHAMPION} new-photos/ --output drift.json",
    ),
    Step(
        f"python -m components.predict watch --model {CHAMPION} --log requests.jsonl --fail",
        {"--fail": "--fail || test $? = 1"},  # it did drift, or not
    ),
    Step(f"mlflow artifacts download -u {CHAMPION} -d build/model"),
    Step("python -m components.predict batch photos/ --output answers", says="digit-"),
    Step(
        "python -m components.predict batch photos/ --output answers --model models:/darkroom/3 "
        "--partition-images 5000",
        {"darkroom/3": "darkroom/1", "answers": "others"},
        says="digit-",
    ),
    Step(f"{PIPELINE} photos --output answers --local", {"answers": "third"}),
    Step(
        f"{PIPELINE} … --output … --compile predict.yaml",
        {"source …": "source s3://photos/new", "output …": "output /mnt/darkroom/answers"},
    ),
    Step("python -m pipelines compile --output pipeline.yaml"),
    Step(
        "python -m components.predict suggest FOLDER --model models/model.keras --count 200 "
        "--known data/manifest.parquet --metrics reports/metrics.json",
        {"FOLDER": "new-photos"},
    ),
    Step(
        "dvc remote add --default team s3://bucket/darkroom", {"s3://bucket/darkroom": "../store"}
    ),
    Step("dvc push", says="pushed"),
    Step("dvc exp run -S train.finetune.epochs=12", {"12": "2"}, says="Ran experiment"),
    Step(
        "dvc exp show --only-changed --drop "
        r"'^(?!Experiment|accuracy|macro.f1|log_loss|train\.)'",
        says="train.finetune.epochs",
    ),
    Step("dvc plots diff", says="index.html"),
    Step("dvc exp apply <name>", {"<name>": "$(dvc exp list --name-only)"}, says="applied"),
    Step("dvc repro", says="up to date"),
    Step(
        'python -m components.promote approve 7 --by "Ada Lovelace" '
        '--reason "looked at the worst mistakes"',
        {"7": "2"},
    ),
    Step('python -m components.promote rollback --reason "complaints about boots"'),
    Step("python -m components.promote history", says="complaints about boots"),
    Step("python -m components.promote repair"),
    Step('git commit -am "…"'),
    Step("export MLFLOW_TRACKING_URI=sqlite:///$PWD/mlflow.db"),
    Step(QUEUE, {"1e-4,3e-4": "1e-4"}),
    Step(f"{QUEUE} -S 'train.finetune.optimizer=adamw,sgd'", {"1e-4,3e-4": "2e-4"}),
    Step("dvc queue start"),
    Step("dvc queue status", {"dvc queue status": WAIT}, says="Success"),
    Step(
        "dvc exp show --hide-workspace --sort-by accuracy --sort-order desc --drop "
        "'^(?!Experiment|accuracy|macro.f1|log_loss|train.finetune.(learning_rate|optimizer))'",
        says="optimizer",
    ),
    Step("python -m components.train.search run --trials 20", {"20": "2"}),
    Step("python -m components.train.search show"),
    Step("python -m components.train.search apply"),
    Step("git push --follow-tags", says="main"),
)

_CI = "continuous integration is this"
_NETWORK = "tests/e2e/test_folder_network.py"
_CLUSTER = "no cluster here; its objects: tests/pipelines/test_deploy.py"
_SERVICE = "no cluster here; its objects: tests/promote/test_deploy.py"
# Lines that are not run here: the test that runs them, or as much of them as this machine can.
ELSEWHERE = {
    "bash .ci/run": _CI,
    "make lint": _CI,
    "make test": _CI,
    'make test ARGS="tests/train -x"': _CI,
    "make release VERSION=0.2.0": "tests/contract/test_release.py",
    "make image": "tests/docker/test_image.py",
    "make image && make image TARGET=gpu": "tests/docker/test_targets.py",
    "make image IMAGE=registry.example/team/darkroom:1": "tests/docker/test_targets.py",
    "make image && python -m pipelines run --docker": "tests/e2e/test_parity.py",
    "docker push registry.example/team/darkroom:1": "there is no such registry",
    "docker run --rm -p 8080:8080 -e MLFLOW_TRACKING_URI=http://mlflow:5000 darkroom:latest "
    f"{SERVE.replace('--port', '--host 0.0.0.0 --port')}": "tests/promote/test_deploy.py",
    "docker build -f deploy/serving/Dockerfile -t darkroom-champion build": "no packages in Docker",
    "python -m pipelines run": "tests/e2e/test_parity.py",
    "python -m pipelines submit --host http://localhost:8080 --wait": (
        "tests/pipelines/test_cluster.py"
    ),
    f"{PIPELINE} s3://photos/new --output /mnt/darkroom/answers": "tests/pipelines/test_batch.py",
    f"{PIPELINE} s3://photos/new --output /mnt/darkroom/answers --cron '0 0 3 * * *'": (
        "tests/pipelines/test_batch.py"
    ),
    "kubectl apply -k deploy": _CLUSTER,
    "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80 &": _CLUSTER,
    "kubectl patch configmap workflow-controller-configmap -n kubeflow --patch-file "
    "deploy/operator/retries.yaml": _CLUSTER,
    "kubectl rollout restart deployment workflow-controller -n kubeflow": _CLUSTER,
    "kubectl apply -k deploy/serving": _SERVICE,
    "kubectl apply -k deploy/serving/canary": _SERVICE,
    "export MLFLOW_TRACKING_URI=https://mlflow.example.com": "tests/promote/test_logins.py",
    "mlflow server --backend-store-uri postgresql+psycopg2://user@host/mlflow "
    "--default-artifact-root s3://bucket/runs": "tests/promote/test_servers.py",
    'make bench BENCH=peers ARGS="--sets digits-5 --install --ways darkroom features keras '
    'pytorch fastai autogluon --results peers.csv --picture docs/peers.svg"': (
        "half an hour; its parts: tests/contract/test_benchmarks.py"
    ),
    'make bench BENCH=peers ARGS="--sets digits clothing --clothing clothing-photos.tar '
    '--seeds 3"': "hours; its parts: tests/contract/test_benchmarks.py",
    "python -m components.train weights fetch dinov2_base": _NETWORK,
    "python -m components.train weights verify dinov2_base": _NETWORK,
    "python -m components.train --list-backbones --family dinov2": _NETWORK,
    "dvc add data/weights/dinov2_base": _NETWORK,
    "dvc exp run -S train.backbone=data/weights/dinov2_base -S preprocess.size_px=224 "
    "-S train.finetune.layer_decay=0.75 -S train.finetune.learning_rate=0.00005": _NETWORK,
    "dvc exp run -S train.backbone=data/weights/dinov2_base "
    f"-S train.weights={CHAMPION} -S train.finetune.lora_rank=8": _NETWORK,
}


def list_lines() -> Iterator[str]:
    """Yield what pages give to be copied, as a :class:`Step` names it."""
    for page in PAGES:
        for shown in list_commands((ROOT / page).read_text(encoding="utf-8")):
            if shown.whole:
                words = " ".join(shown.line.split())
                yield words.partition(" # ")[0]
