"""KFP's drivers as far as its cache goes: which tasks of a compiled pipeline a run would execute.

The rule of the key is that of backend/src/v2/cacheutils/cache.go (2.17): ids of input artifacts,
values of parameters, what goes out, image, command, and volumes. A task that is answered from the
cache hands on the artifacts of the one that was executed; one that is executed makes new ids.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, Any]


@dataclass
class Kfp:
    """A cluster with a pipeline, and what its cache holds."""

    spec: Mapping[str, Any]
    cache: dict[str, tuple[Values, Values]] = field(default_factory=dict)
    ids: Any = field(default_factory=itertools.count)

    def run(self, returns: Mapping[str, Any]) -> list[str]:
        """Run the pipeline; return the names of the tasks that were executed.

        Args:
            returns: what tasks return, by their names; the others return nothing that matters.
        """
        executed: list[str] = []
        inputs = self.spec["root"]["inputDefinitions"]["parameters"]
        given = {name: one.get("defaultValue") for name, one in inputs.items()}
        self._run_graph(self.spec["root"], {}, given, returns, executed)
        return executed

    def _run_graph(
        self,
        component: Mapping[str, Any],
        artifacts: Values,
        parameters: Values,
        returns: Mapping[str, Any],
        executed: list[str],
    ) -> tuple[Values, Values]:
        tasks = component["dag"]["tasks"]
        done: dict[str, tuple[Values, Values]] = {}
        while len(done) < len(tasks):
            name = next(
                name
                for name, task in tasks.items()
                if name not in done and set(task.get("dependentTasks", [])) <= set(done)
            )
            done[name] = self._run_task(
                name, tasks[name], (artifacts, parameters), done, (returns, executed)
            )
        out = component["dag"].get("outputs", {}).get("artifacts", {})
        found: Values = {}
        for key, one in out.items():
            (chosen,) = one["artifactSelectors"]
            found[key] = done[chosen["producerSubtask"]][0][chosen["outputArtifactKey"]]
        return found, {}

    def _run_task(
        self,
        name: str,
        task: Mapping[str, Any],
        given: tuple[Values, Values],
        done: Mapping[str, tuple[Values, Values]],
        told: tuple[Mapping[str, Any], list[str]],
    ) -> tuple[Values, Values]:
        artifacts, parameters = {}, {}
        for key, one in task.get("inputs", {}).get("artifacts", {}).items():
            if "componentInputArtifact" in one:
                artifacts[key] = given[0][one["componentInputArtifact"]]
            else:
                source = one["taskOutputArtifact"]
                artifacts[key] = done[source["producerTask"]][0][source["outputArtifactKey"]]
        for key, one in task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in one:
                parameters[key] = given[1][one["componentInputParameter"]]
            elif "taskOutputParameter" in one:
                source = one["taskOutputParameter"]
                parameters[key] = done[source["producerTask"]][1][source["outputParameterKey"]]
            else:
                parameters[key] = one["runtimeValue"]["constant"]
        component = self.spec["components"][task["componentRef"]["name"]]
        if "dag" not in component:
            return self._execute(name, task, (artifacts, parameters), told)
        loop = task.get("parameterIterator")
        if not loop:
            return self._run_graph(component, artifacts, parameters, *told)
        runs = [
            self._run_graph(component, artifacts, parameters | {loop["itemInput"]: item}, *told)[0]
            for item in parameters[loop["items"]["inputParameter"]]
        ]
        return {key: [one for run in runs for one in run[key]] for key in runs[0]}, {}

    def _execute(
        self,
        name: str,
        task: Mapping[str, Any],
        given: tuple[Values, Values],
        told: tuple[Mapping[str, Any], list[str]],
    ) -> tuple[Values, Values]:
        returns, executed = told
        component = self.spec["components"][task["componentRef"]["name"]]
        outputs = component.get("outputDefinitions", {})
        executors = self.spec["deploymentSpec"]["executors"]
        container = executors[component["executorLabel"]]["container"]
        key = [*given, outputs, container["image"], container["command"], container["args"]]
        text = json.dumps(key, sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        is_cached = task.get("cachingOptions", {}).get("enableCache", False)
        if is_cached and fingerprint in self.cache:
            return self.cache[fingerprint]
        executed.append(name)
        made = {one: [next(self.ids)] for one in outputs.get("artifacts", {})}
        said = {one: returns.get(name, "") for one in outputs.get("parameters", {})}
        self.cache[fingerprint] = (made, said)
        return self.cache[fingerprint]
