"""The web app's chapter: a release, a better one, and a broken one that must not take the traffic."""

from __future__ import annotations

from demo import visitor
from demo.facts import Released
from demo.kubectl import Json, is_true
from demo.scene import WEB, Scene, app_deployment
from tandem.api.appdeployment import AppDeployment

# The example's progressDeadlineSeconds is 30.
SET_ASIDE_WITHIN = 120.0


def release(scene: Scene) -> Released:
    scene.do("apply", f"--kustomize={WEB}")
    scene.kubectl.wait_for("appdeployment/web", "condition=Ready")
    first = scene.app("web")
    guest = visitor.of_web(scene.kubectl)
    guest.start()

    _update(scene, "web:2")
    scene.kubectl.wait_for("appdeployment/web", "condition=Ready")
    guest.hears("2")
    second = scene.app("web")

    _update(scene, "web:broken")
    return Released(first, second, _set_aside(scene))


def _update(scene: Scene, image: str) -> None:
    scene.do("patch", "appdeployment/web", "--type=merge", f'--patch={{"spec": {{"image": "{image}"}}}}')


def _set_aside(scene: Scene) -> AppDeployment:
    def stalled(app: Json) -> bool:
        return is_true(app, "Stalled")

    found = scene.kubectl.watch_until("appdeployment/web", stalled, "the broken release is set aside", SET_ASIDE_WITHIN)
    return app_deployment(found)
