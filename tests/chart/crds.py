"""What the custom resources that the chart uses look like: the fields it sets, closed, as their own definitions say."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def closed(*, optional: tuple[str, ...] = (), **properties: Any) -> Schema:
    """An object of these properties alone, all of them needed but the optional ones."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def list_of(item: Schema) -> Schema:
    """A list that is not empty."""
    return {"type": "array", "items": item, "minItems": 1}


TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
NUMBER_AS_TEXT: Schema = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$"}
_TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}


def _resource(api_version: str, spec: Schema) -> Schema:
    metadata = closed(name=TEXT, labels=_TEXTS, annotations=_TEXTS, optional=("annotations",))
    return closed(apiVersion={"const": api_version}, kind=TEXT, metadata=metadata, spec=spec)


_TRIGGER = {
    "oneOf": [
        closed(
            type={"const": "postgresql"},
            metadata=closed(query=TEXT, targetQueryValue=NUMBER_AS_TEXT),
            authenticationRef=closed(name=TEXT),
        ),
        closed(
            type={"const": "prometheus"},
            metadata=closed(serverAddress=TEXT, query=TEXT, threshold=NUMBER_AS_TEXT),
        ),
    ]
}

_RULE = {
    "oneOf": [
        closed(record={"type": "string", "pattern": "^[a-z0-9_:]+$"}, expr=TEXT, labels=_TEXTS),
        closed(
            alert={"type": "string", "pattern": "^[A-Za-z]+$"},
            expr=TEXT,
            **{"for": {"type": "string", "pattern": "^[0-9]+[mh]$"}},
            labels=closed(severity={"enum": ["critical", "warning"]}, uniaudio_release=TEXT),
            annotations=closed(summary=TEXT, description=TEXT),
        ),
    ]
}

_POD: Schema = closed(metadata=closed(labels=_TEXTS), spec={"type": "object"})  # checked as a Pod's own
_RAY_GROUP: dict[str, Schema] = {"rayStartParams": _TEXTS, "template": _POD}

CUSTOM: dict[str, Schema] = {
    "LeaderWorkerSet": _resource(
        "leaderworkerset.x-k8s.io/v1",
        closed(
            replicas=COUNT,
            startupPolicy={"enum": ["LeaderCreated", "LeaderReady"]},
            rolloutStrategy=closed(
                type={"const": "RollingUpdate"},
                rollingUpdateConfiguration=closed(maxUnavailable={**COUNT, "minimum": 1}, maxSurge=COUNT),
            ),
            leaderWorkerTemplate=closed(
                size={"type": "integer", "minimum": 2},
                restartPolicy={"enum": ["None", "RecreateGroupOnPodRestart"]},
                leaderTemplate=_POD,
                workerTemplate=_POD,
            ),
            optional=("replicas",),
        ),
    ),
    "RayService": _resource(
        "ray.io/v1",
        closed(
            serveConfigV2=TEXT,
            rayClusterConfig=closed(
                rayVersion=TEXT,
                headGroupSpec=closed(**_RAY_GROUP),
                workerGroupSpecs=list_of(
                    closed(groupName=TEXT, replicas=COUNT, minReplicas=COUNT, maxReplicas=COUNT, **_RAY_GROUP)
                ),
            ),
        ),
    ),
    "ServiceMonitor": _resource(
        "monitoring.coreos.com/v1",
        closed(
            selector=closed(matchLabels=_TEXTS),
            endpoints=list_of(closed(port=TEXT, interval=TEXT, honorLabels={"type": "boolean"})),
        ),
    ),
    "PrometheusRule": _resource(
        "monitoring.coreos.com/v1", closed(groups=list_of(closed(name=TEXT, rules=list_of(_RULE))))
    ),
    "ScaledObject": _resource(
        "keda.sh/v1alpha1",
        closed(
            scaleTargetRef=closed(apiVersion=TEXT, kind=TEXT, name=TEXT),
            minReplicaCount=COUNT,
            maxReplicaCount=COUNT,
            pollingInterval=COUNT,
            cooldownPeriod=COUNT,
            triggers=list_of(_TRIGGER),
        ),
    ),
    "HTTPRoute": _resource(
        "gateway.networking.k8s.io/v1",
        closed(
            parentRefs=list_of(
                closed(name=TEXT, namespace=TEXT, sectionName=TEXT, optional=("namespace", "sectionName"))
            ),
            hostnames=list_of(TEXT),
            rules=list_of(
                closed(
                    matches=list_of(closed(path=closed(type={"enum": ["PathPrefix"]}, value=TEXT))),
                    backendRefs=list_of(closed(name=TEXT, port=PORT)),
                    timeouts=closed(request={"type": "string", "pattern": "^[0-9]+s$"}),
                )
            ),
            optional=("hostnames",),
        ),
    ),
    "Certificate": _resource(
        "cert-manager.io/v1",
        closed(
            secretName=TEXT,
            dnsNames=list_of(TEXT),
            ipAddresses=list_of(TEXT),
            usages=list_of(
                {"enum": ["digital signature", "key encipherment", "server auth", "client auth"]},
            ),
            privateKey=closed(
                algorithm={"enum": ["ECDSA"]},
                size={"enum": [256, 384, 521]},
                encoding={"enum": ["PKCS1", "PKCS8"]},
                rotationPolicy={"enum": ["Never", "Always"]},
            ),
            duration=TEXT,
            renewBefore=TEXT,
            issuerRef=closed(name=TEXT, kind={"enum": ["Issuer", "ClusterIssuer"]}, group=TEXT),
        ),
    ),
    "TriggerAuthentication": _resource(
        "keda.sh/v1alpha1", closed(secretTargetRef=list_of(closed(parameter=TEXT, name=TEXT, key=TEXT)))
    ),
}
"""By kind."""
_ASKED_FOR = ("ServiceMonitor", "PrometheusRule", "LeaderWorkerSet", "RayService")
KNOWN = tuple(f"{CUSTOM[kind]['properties']['apiVersion']['const']}/{kind}" for kind in _ASKED_FOR)
"""Those that the chart asks the cluster for, as helm writes them."""


def pod_templates(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Templates of pods inside a custom resource, by what their pods are."""
    if manifest["kind"] == "LeaderWorkerSet":
        group = manifest["spec"]["leaderWorkerTemplate"]
        return {"leader": group["leaderTemplate"], "worker": group["workerTemplate"]}
    if manifest["kind"] == "RayService":
        cluster = manifest["spec"]["rayClusterConfig"]
        (workers,) = cluster["workerGroupSpecs"]
        return {"worker": workers["template"], "head": cluster["headGroupSpec"]["template"]}
    return {}
