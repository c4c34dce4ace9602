"""The rooms of Darkroom, in the order in which photos walk through them.

==========  =====================================  =================================================
room        reads                                  writes
==========  =====================================  =================================================
ingest      a data set or an archive               images in class folders
validate    images                                 manifest.parquet, validation.json, data docs
preprocess  images, manifest                       splits.parquet, shards (TFRecord) + dataset.json
train       shards                                 model.keras, history.csv, findings, run.json
evaluate    model, shards, findings                predictions.parquet, metrics.json, report.html
promote     model, predictions, metrics            verdict.json, a version in the MLflow registry
predict     a registered model, any images         one prediction an image
init        a folder, an archive or a bucket       params.yaml, with settings that fit it
==========  =====================================  =================================================

Every room has the same floor plan: ``spec.py`` declares its ``Inputs``, ``Outputs`` and ``Params``;
``run.py`` holds ``run(inputs, outputs, params)``; ``__main__.py`` is its command line, the same in
all; ``commands.py``, where there is one, holds what else a person may type. ``common`` holds what
knows no room. `dvc.yaml` joins the first six on one machine; `predict` serves what they made;
`init` comes before them all.
"""

STAGES = ("ingest", "validate", "preprocess", "train", "evaluate", "promote")
ROOMS = (*STAGES, "predict", "init")
