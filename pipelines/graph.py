"""Look for loose ends in a compiled pipeline: KFP's own parser finds no reference into nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PRODUCERS = {
    "taskOutputArtifact": ("outputArtifactKey", "artifacts"),
    "taskOutputParameter": ("outputParameterKey", "parameters"),
}


def check_pipeline(text: str) -> list[str]:
    """Return what is wrong with a compiled pipeline, in words; empty: nothing.

    It must parse as KFP's PipelineSpec, PipelineDeploymentConfig and PlatformSpec, and each task,
    component, executor, input and output that is referred to must exist.
    """
    import yaml

    # libyaml reads it ten times as fast as PyYAML alone.
    documents = [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]
    spec = documents[0]
    platform = documents[1] if len(documents) > 1 else {}
    parse_messages(spec, platform)
    return list(find_loose_ends(spec, platform))


def parse_messages(spec: Mapping[str, Any], platform: Mapping[str, Any]) -> None:
    """Parse into KFP's messages; raise ParseError if something in them is unknown to KFP."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2 as messages

    json_format.ParseDict(dict(spec), messages.PipelineSpec())
    json_format.ParseDict(spec["deploymentSpec"], messages.PipelineDeploymentConfig())
    json_format.ParseDict(dict(platform), messages.PlatformSpec())


def find_loose_ends(spec: Mapping[str, Any], platform: Mapping[str, Any]) -> Iterator[str]:
    """Yield each reference that leads nowhere, and each required input that nothing feeds."""
    components = spec.get("components", {})
    executors = spec["deploymentSpec"].get("executors", {})
    used = set()
    for name, component in {"root": spec["root"], **components}.items():
        label = component.get("executorLabel")
        if label is not None:
            used.add(label)
            if label not in executors:
                yield f"{name}: no executor {label}"
        if "dag" in component:
            yield from Dag(name, component, components).find_loose_ends()
    for label in executors.keys() - used:
        yield f"executor {label} belongs to no component"
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    for label in kubernetes.get("deploymentSpec", {}).get("executors", {}):
        if label not in executors:
            yield f"platform: no executor {label}"
    for name in components.keys() - _reach(spec["root"], components):
        yield f"component {name} is used by no task"


def _reach(component: Mapping[str, Any], components: Mapping[str, Any]) -> set[str]:
    """Return the components that the tasks of a component lead to."""
    found: set[str] = set()
    for task in component.get("dag", {}).get("tasks", {}).values():
        name = task["componentRef"]["name"]
        if name in components and name not in found:
            found |= {name} | _reach(components[name], components)
    return found


@dataclass(frozen=True)
class Dag:
    """A component that is made of tasks."""

    name: str
    component: Mapping[str, Any]
    components: Mapping[str, Any]  # all of the pipeline

    @property
    def tasks(self) -> Mapping[str, Any]:
        """Its tasks by name."""
        return dict(self.component["dag"]["tasks"])

    def find_loose_ends(self) -> Iterator[str]:
        """Yield what is wrong with its tasks and its outputs."""
        for key, task in self.tasks.items():
            where = f"{self.name}/{key}"
            target = self.components.get(task["componentRef"]["name"])
            if target is None:
                yield f"{where}: no component {task['componentRef']['name']}"
                continue
            for other in task.get("dependentTasks", []):
                if other not in self.tasks:
                    yield f"{where}: depends on {other}, which is no task here"
            yield from self._check_inputs(where, task, target)
        for kind in ("artifacts", "parameters"):
            for output, entry in self.component["dag"].get("outputs", {}).get(kind, {}).items():
                for selector in _selectors(entry):
                    producer = str(selector.get("producerSubtask"))
                    wanted = selector.get("outputArtifactKey") or selector.get("outputParameterKey")
                    if not self._has_output(producer, str(wanted), kind):
                        yield f"{self.name}: output {output} is {producer}.{wanted}, which is not"

    def _check_inputs(
        self, where: str, task: Mapping[str, Any], target: Mapping[str, Any]
    ) -> Iterator[str]:
        iterated = _iterated(task)
        for kind in ("artifacts", "parameters"):
            known = target.get("inputDefinitions", {}).get(kind, {})
            fed = task.get("inputs", {}).get(kind, {})
            for name, source in fed.items():
                if name not in known and name not in iterated:
                    yield f"{where}: input {name} is unknown to its component"
                yield from self._check_source(f"{where}.{name}", source, kind)
            for name, definition in known.items():
                optional = definition.get("isOptional") or "defaultValue" in definition
                if name not in fed and name not in iterated and not optional:
                    yield f"{where}: nothing feeds input {name}"

    def _check_source(self, where: str, source: Mapping[str, Any], kind: str) -> Iterator[str]:
        outer = source.get("componentInputArtifact") or source.get("componentInputParameter")
        if outer and outer not in self.component.get("inputDefinitions", {}).get(kind, {}):
            yield f"{where}: its component has no input {outer}"
        for form, (key, output_kind) in PRODUCERS.items():
            if form in source:
                producer = source[form]["producerTask"]
                if not self._has_output(producer, source[form][key], output_kind):
                    yield f"{where}: comes from {producer}.{source[form][key]}, which is not"
        final = source.get("taskFinalStatus")
        if final and final["producerTask"] not in self.tasks:
            yield f"{where}: status of {final['producerTask']}, which is no task here"

    def _has_output(self, task: str, output: str, kind: str) -> bool:
        if task not in self.tasks:
            return False
        target = self.components.get(self.tasks[task]["componentRef"]["name"], {})
        return output in target.get("outputDefinitions", {}).get(kind, {})


def _iterated(task: Mapping[str, Any]) -> set[str]:
    """Return the inputs that a loop makes by itself: its item, and its list."""
    found = set()
    for iterator in ("parameterIterator", "artifactIterator"):
        if iterator in task:
            found.add(task[iterator]["itemInput"])
            items = task[iterator].get("items", {})
            found |= {items["inputParameter"]} if "inputParameter" in items else set()
    return found


def _selectors(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "valueFromParameter" in entry:
        return [entry["valueFromParameter"]]
    return list(
        entry.get("artifactSelectors", [])
        or entry.get("valueFromOneof", {}).get("parameterSelectors", [])
    )
