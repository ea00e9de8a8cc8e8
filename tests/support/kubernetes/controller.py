"""Drives workflows as Argo's controller does, and writes into the object store what their steps would."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from odm_gateway.domain.exit_codes import exit_text
from shared.objects.port import ObjectStore
from tests.support.kubernetes.scenarios import HAPPY, OdmRun, Scenario
from tests.support.kubernetes.status import Json, RefusedError
from tests.support.kubernetes.storage import Change, Storage

PARAMETERS = {
    "job", "manifest", "workspace", "odm-image", "mem0", "mem1", "mem2", "mem3", "cpu",
    "deadline-seconds", "capacity", "gpu", "traceparent",
}  # fmt: skip
"""Those of the WorkflowTemplate."""
INSTANCE = "workflows.argoproj.io/controller-instanceid"
PHASE, COMPLETED = "workflows.argoproj.io/phase", "workflows.argoproj.io/completed"


class EndedError(Exception):
    """The workflow was told to stop, or is gone."""


@dataclass
class Controller:
    """The controller of one cluster."""

    storage: Storage
    objects: ObjectStore
    scenario: Callable[[str], Scenario] = lambda _name: HAPPY
    """By the workflow's name."""
    parallelism: int | None = None
    """How many workflows run together; others wait."""
    admits: bool = True
    """Whether workflows that wait are let in."""
    memory: dict[str, list[str]] = field(default_factory=dict)
    """What each odm pod of a workflow was given."""
    made: Counter[str] = field(default_factory=Counter)
    """How often a workflow of each name was made."""
    succeeded: Counter[str] = field(default_factory=Counter)
    _running: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Take care of every workflow that is made inside the block."""
        self.storage.on_change.append(self._hear)
        try:
            yield
        finally:
            self.storage.on_change.remove(self._hear)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear(self, change: Change) -> None:
        if change.plural == "workflows" and change.before is None and change.after is not None:
            if INSTANCE in (change.after["metadata"].get("labels") or {}):
                return  # another controller's
            name = change.after["metadata"]["name"]
            self.made[name] += 1
            task = asyncio.create_task(self._see_through(name, change.after["metadata"]["uid"]))
            self._tasks.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()

    async def _see_through(self, name: str, uid: str) -> None:
        life = Life(self, name, uid, self.scenario(name))
        try:
            await self._admit(life)
            self._running.add(name)
            await life.run()
        except EndedError:
            pass
        finally:
            self._running.discard(name)
        if life.scenario.ttl_s is not None:
            await asyncio.sleep(life.scenario.ttl_s)
            if life.exists:
                self.storage.delete("workflows", name)

    async def _admit(self, life: Life) -> None:
        while not self.admits or (self.parallelism is not None and len(self._running) >= self.parallelism):
            life.phase(
                "Pending", "Workflow processing has been postponed because too many workflows are running"
            )
            await self.storage.changed(0.05)


@dataclass
class Life:
    """One workflow in the controller's hands."""

    controller: Controller
    name: str
    uid: str
    scenario: Scenario
    nodes: dict[str, Json] = field(default_factory=dict)
    seconds: int = 0

    @property
    def exists(self) -> bool:
        """Return whether the workflow is still there, and no other one of its name."""
        found = self.controller.storage.objects.get(("workflows", self.name))
        return found is not None and found["metadata"]["uid"] == self.uid

    @property
    def objects(self) -> ObjectStore:
        """Return where the steps write to."""
        return self.controller.objects

    def phase(self, phase: str, message: str = "") -> None:
        """Write the status, having looked whether somebody wants the workflow ended."""
        wanted = self._shutdown()
        before = self._found().get("status", {}).get("phase", "")
        if wanted == "Terminate" or (wanted == "Stop" and before == "Running"):
            self._write("Failed", f"Stopped with strategy '{wanted}'")
            raise EndedError
        self._write(phase, message)

    async def run(self) -> None:
        """Live."""
        if self.scenario.no_template:
            self._write("Error", 'workflowtemplates.argoproj.io "odm-standard" not found')
            return
        parameters = self._parameters()
        if missing := PARAMETERS - parameters.keys():
            self._write("Error", f"parameters without a value: {sorted(missing)}")
            return
        if ("persistentvolumeclaims", parameters["workspace"]) not in self.controller.storage.objects:
            self._write("Error", f'persistentvolumeclaim "{parameters["workspace"]}" not found')
            return
        self.phase("Running")
        manifest = await self._fetch(parameters)
        if await self._odm(parameters):
            await self._publish(manifest)

    async def _fetch(self, parameters: dict[str, str]) -> Json:
        await self._stay_pending("fetch", "fetch")
        await self._node("fetch", "Running")
        if self.scenario.fetch_fails:
            await self._node("fetch", "Failed", self.scenario.fetch_fails, exit_code=1)
            self._write("Failed", "child 'fetch' failed")
            raise EndedError
        manifest: Json = json.loads(await self.objects.read(self.objects.key(parameters["manifest"])))
        await self._node("fetch", "Succeeded")
        return manifest

    async def _odm(self, parameters: dict[str, str]) -> bool:
        """Run the retries of the odm step and return whether the last one succeeded."""
        for number, run in enumerate(self.scenario.runs):
            given = self.controller.memory.setdefault(self.name, [])
            given.append(parameters[f"mem{min(number, 3)}"])
            step = f"odm({number})"
            await self._stay_pending("odm", step)
            await self._node(step, "Running")
            await self._chunks(run, number)
            if self.scenario.hangs:
                await self._wait_for_ever(step, "Running", "")
            if run.exit_code == 0:
                await self._node(step, "Succeeded")
                return True
            if run.leaves_failure:
                await self._leave_failure(run)
            await self._node(step, run.phase, run.message, exit_code=run.exit_code)
        self._write("Failed", "child 'odm' failed")
        return False

    async def _chunks(self, run: OdmRun, number: int) -> None:
        there = [stored.key async for stored in self.objects.list(f"jobs/{self.name}/console/")]
        for index in range(len(there), len(there) + run.chunks):
            chunk = {
                "first_line": index * 2,
"lines": [f"[INFO]    run {number} line {line}" for line in (index * 2, index * 2 + 1)],
                "percent": min(90.0, 10.0 * (index + 1)), "stage": "opensfm", "peak_memory_bytes": 1 << 30,
            }  # fmt: skip
            await self._put(f"console/{index:08}.json", chunk)
            await self._pause()

    async def _leave_failure(self, run: OdmRun) -> None:
        failure = {
            "exit_code": run.exit_code, "message": run.failure_message or exit_text(run.exit_code),
            "peak_memory_bytes": 7 << 30,
        }  # fmt: skip
        await self._put("failure.json", failure)

    async def _publish(self, manifest: Json) -> None:
        await self._stay_pending("publish", "publish")
        await self._node("publish", "Running")
        if self.scenario.publish_fails:
            await self._node("publish", "Failed", self.scenario.publish_fails, exit_code=2)
            self._write("Failed", "child 'publish' failed")
            raise EndedError
        assets = ["all.zip", "odm_orthophoto/odm_orthophoto.tif"]
        stored = assets[:1] if self.scenario.result == "incomplete" else assets
        for asset in stored:
            await self.objects.put(f"{manifest['products']}/{asset}", asset.encode())
        result = {"assets": assets, "summary": {"gsd": 2.5}, "exit_code": 0, "error": None}
        if self.scenario.result in {"whole", "incomplete"}:
            await self._put("result.json", result)
        await self._node("publish", "Succeeded")
        self.controller.succeeded[self.name] += 1
        self._write("Succeeded")
        if self.scenario.result == "late":
            await asyncio.sleep(0.5)
            await self._put("result.json", result)

    async def _put(self, name: str, content: Json) -> None:
        await self.objects.put(f"jobs/{self.name}/{name}", json.dumps(content).encode())

    async def _stay_pending(self, step: str, node: str) -> None:
        if self.scenario.stays_pending and self.scenario.pending_step == step:
            await self._wait_for_ever(node, "Pending", self.scenario.stays_pending)

    async def _wait_for_ever(self, step: str, phase: str, message: str) -> None:
        await self._node(step, phase, message)
        while True:
            self.phase("Running")
            await self.controller.storage.changed(0.1)

    async def _node(self, step: str, phase: str, message: str = "", *, exit_code: int | None = None) -> None:
        self.seconds += 1
        node: Json = {
            "id": f"{self.name}-{step}", "name": f"{self.name}.{step}", "displayName": step, "type": "Pod",
            "templateName": step.partition("(")[0], "phase": phase,
        }  # fmt: skip
        now = f"2026-01-01T{self.seconds // 60:02}:{self.seconds % 60:02}:00Z"
        node["startedAt"] = self.nodes.get(node["id"], {}).get("startedAt", now)
        if message:
            node["message"] = message
        if phase in {"Succeeded", "Failed", "Error"}:
            node["finishedAt"] = now
        if exit_code is not None:
            node["outputs"] = {"exitCode": str(exit_code)}
        self.nodes[node["id"]] = node
        self.phase("Running")
        await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self.scenario.step_s)

    def _found(self) -> Json:
        if not self.exists:
            raise EndedError
        return self.controller.storage.objects["workflows", self.name]

    def _shutdown(self) -> str:
        return str(self._found()["spec"].get("shutdown") or "")

    def _parameters(self) -> dict[str, str]:
        given = self._found()["spec"]["arguments"]["parameters"]
        return {parameter["name"]: parameter["value"] for parameter in given}

    def _write(self, phase: str, message: str = "") -> None:
        def how(workflow: Json) -> None:
            status: Json = {"phase": phase, "progress": f"{len(self.nodes)}/3"}
            if message:
                status["message"] = message
            if self.scenario.packs_nodes:
                packed = gzip.compress(json.dumps(self.nodes).encode())
                status["compressedNodes"] = base64.b64encode(packed).decode()
            else:
                status["nodes"] = json.loads(json.dumps(self.nodes))
            workflow["status"] = status
            labels = workflow["metadata"].setdefault("labels", {})
            labels[PHASE] = phase
            if phase in {"Succeeded", "Failed", "Error"}:
                labels[COMPLETED] = "true"

        try:
            self._found()
            self.controller.storage.change("workflows", self.name, how)
        except RefusedError:
            raise EndedError from None
