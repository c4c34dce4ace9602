"""The rooms as a Kubeflow pipeline: the same code, containerised, on a cluster, at any size.

===========  =================================================================================
`tasks`      one thin typed function a task; its body runs in the project's image
`dag`        how the tasks hang together
`resources`  what each task asks of the cluster: from section `kubeflow` of params.yaml
`compiler`   the pipeline as YAML, the same bytes every time; `graph` checks it for loose ends
`batch`      the action `predict`: the other pipeline, answers to very many images
`local`      runs it on this machine, in processes or in containers
`cluster`    submit, follow, retry, schedule, upload, clean
`steps`      what tasks do beside running a room: fetch, look up, show, record
===========  =================================================================================

`python -m pipelines --help` is the command line. Only here is kfp imported, and no room is imported
before a task's body runs.
"""
