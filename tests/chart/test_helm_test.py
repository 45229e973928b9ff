"""templates/tests: what `helm test` runs. tests/integration/test_chart_edit.py runs its program."""

from __future__ import annotations

import base64

from tests.chart.render import CHART, environment, find, render_chart

PROGRAM = (CHART / "files/edit.py").read_text()


def test_a_pod_of_the_gateways_image_edits_a_recording() -> None:
    values = {
        "gateway": {"port": 8080, "image": "registry.example/door:3"},
        "limits": {"requestSeconds": 100},
    }
    manifests = render_chart(values)
    pod = find(manifests, "Pod", "trial-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert (
        find(manifests, "ServiceAccount", "trial-test")["metadata"]["annotations"]["helm.sh/hook"] == "test"
    )
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.example/door:3"
    assert container["command"][:2] == ["python", "-c"]
    assert container["command"][2].strip() == PROGRAM.strip()
    env = environment(container)
    assert env["GATEWAY"] == "http://trial-gateway:8080"
    assert "TOKEN" not in env
    assert base64.b64decode(env["RECORDING"]) == (CHART / "files/sentence.flac").read_bytes()
    assert env["WORDS"] == "where can he count the lost needle"
    assert float(env["SECONDS_AT_MOST"]) < pod["spec"]["activeDeadlineSeconds"]
    assert pod["spec"]["restartPolicy"] == "Never"


def test_the_words_are_asked_of_nano_alone() -> None:
    pod = find(render_chart({"model": {"existingClaim": "models"}}), "Pod", "trial-test")
    assert "WORDS" not in environment(pod["spec"]["containers"][0])


def test_it_has_a_token_where_callers_need_one() -> None:
    pod = find(render_chart({"test": {"tokenSecret": "tester"}}), "Pod", "trial-test")
    assert environment(pod["spec"]["containers"][0])["TOKEN"] == "secret:tester/token"
