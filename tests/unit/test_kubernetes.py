"""The Kubernetes example is valid by Kubernetes' own schemas, and speaks of what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from config.settings import Settings, load
from daemon.http import build_app
from tests.statuses import ready

FILE = Path(__file__).parents[2] / "deploy" / "kubernetes" / "sidecar.yaml"
DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
VERSIONS = ("1.31", kubernetes_validate.latest_version())

Object = dict[str, Any]


def objects() -> list[Object]:
    """Return all objects of the example."""
    return list(yaml.safe_load_all(FILE.read_text()))


def one(kind: str, name: str) -> Object:
    """Return an object."""
    (found,) = [o for o in objects() if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def pod() -> Object:
    """Return the pod of the Deployment."""
    return cast("Object", one("Deployment", "app")["spec"]["template"]["spec"])


def sidecar() -> Object:
    """Return liteferry's container."""
    (found,) = [c for c in pod()["containers"] if c["name"] == "liteferry"]
    return cast("Object", found)


def mounts(container: Object) -> dict[str, str]:
    """Return where a container has its volumes."""
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_would_take_every_object(version: str) -> None:
    """No unknown field, and none that is missing."""
    for found in objects():
        kubernetes_validate.validate(found, version, strict=True)


def test_each_probe_asks_what_is_served() -> None:
    """By a port that has a name, and never for readiness to cut over."""

    class View:
        """A status to serve."""

        def status(self) -> Object:
            """Return it."""
            return ready()

        def history(self) -> list[Object]:
            """Return nothing."""
            return []

        def events(self, after: int = 0) -> list[Object]:
            """Return nothing."""
            return []

    served = {route.resource.canonical for route in build_app(View()).router.routes() if route.resource}
    ports = {port["name"]: port["containerPort"] for port in sidecar()["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = sidecar()[probe]["httpGet"]
        assert asked["path"] == "/healthz" and asked["path"] in served
        assert ports[asked["port"]] == 8321


def test_the_settings_are_settings(tmp_path: Path) -> None:
    """They load, and speak of places that are mounted; no variable is a mistyped one."""
    file = tmp_path / "liteferry.toml"
    file.write_text(one("ConfigMap", "liteferry")["data"]["liteferry.toml"])
    (tmp_path / "password").write_text("change-me")
    text = file.read_text().replace("/run/secrets/liteferry/password", str(tmp_path / "password"))
    file.write_text(text)
    settings = load(file)

    assert settings.http_address == ("0.0.0.0", 8321)
    assert [str(path) for path in settings.sources] == [mounts(sidecar())["data"]]
    assert mounts(sidecar())["password"] == "/run/secrets/liteferry"
    assert sidecar()["args"] == ["run", "--config", f"{mounts(sidecar())['config']}/liteferry.toml"]
    known = {f"LITEFERRY_{name.upper()}" for name in Settings.model_fields}
    assert {v["name"] for v in sidecar()["env"] if v["name"].startswith("LITEFERRY_")} <= known


def test_both_containers_have_the_volume_as_one_user() -> None:
    """That of the image, without any right, on a read-only root."""
    app, ferry = pod()["containers"]
    assert mounts(app)["data"] == mounts(ferry)["data"] == "/data"
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert user
    given = pod()["securityContext"]
    assert [given["runAsUser"], given["runAsGroup"]] == list(map(int, user.groups()))
    assert ferry["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"/tmp", "/run/liteferry"} <= set(mounts(ferry).values())
    assert {v["name"] for v in pod()["volumes"]} == set(mounts(ferry))


def test_the_switch_patches_the_application_and_nothing_else() -> None:
    """The hooks name files that are there, a Deployment that the role lets them patch, and a secret's key."""
    data, folder = one("ConfigMap", "liteferry")["data"], mounts(sidecar())["config"]
    hooks = re.findall(
        r'^(after_\w+) = "kubectl patch deployment (\w+) --patch-file (\S+)"', data["liteferry.toml"], re.M
    )
    assert [name for name, _, _ in hooks] == ["after_cutover", "after_rollback"]
    (rule,) = one("Role", "liteferry")["rules"]
    for _, deployment, file in hooks:
        assert deployment in rule["resourceNames"] and "patch" in rule["verbs"]
        assert file.startswith(f"{folder}/")
        patch = yaml.safe_load(data[file.removeprefix(f"{folder}/")])
        (container,) = patch["spec"]["template"]["spec"]["containers"]
        assert container["name"] == pod()["containers"][0]["name"]
        (variable,) = container["env"]
        assert variable["name"] == "DATABASE_URL"
    reference = yaml.safe_load(data["to-postgres.yaml"])["spec"]["template"]["spec"]["containers"][0]["env"][
        0
    ]
    secret = reference["valueFrom"]["secretKeyRef"]
    assert secret["key"] in one("Secret", secret["name"])["stringData"]


def test_the_grace_is_longer_than_an_orderly_end() -> None:
    """Otherwise it is killed in the middle of a cutover."""
    pause, end = (Settings.model_fields[name].default for name in ("max_pause", "shutdown_timeout"))
    assert pod()["terminationGracePeriodSeconds"] > pause + 2 * end
