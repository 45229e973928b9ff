{{/*
Who talks to whom, and nobody else: a list of {from, to, ports}. An end is a component of this chart, or a name in
networkPolicy.outside. Takes root.
*/}}
{{- define "uniaudio.arrows" -}}
{{- $places := dict "database" "database" "broker" "broker" "objectStore" "objectStore" -}}
{{- if .Values.trial.enabled -}}
{{- $places = dict "database" "postgresql" "broker" "redis" "objectStore" "minio" -}}
{{- end -}}
{{- $outside := .Values.networkPolicy.outside -}}
{{- $ports := dict "postgresql" 5432 "redis" 6379 "minio" 9000 -}}
{{- range $name, $place := $outside }}{{ $_ := set $ports $name $place.port }}{{ end -}}
{{- $jobs := include "uniaudio.jobs" . | fromYaml -}}
{{- $services := list "tokenizer" "llm" "orchestrator" "gateway" -}}
{{- $editing := list "orchestrator" -}}
{{- if $jobs.broker.secret -}}
{{- $editing = append $editing "worker" -}}
{{- end -}}
- {from: callers, to: gateway, ports: [{{ .Values.gateway.port }}]}
- {from: callers, to: orchestrator, ports: [{{ .Values.orchestrator.port }}]}
- {from: scrapers, to: llm, ports: [{{ .Values.llm.ports.metrics }}]}
- {from: test, to: gateway, ports: [{{ .Values.gateway.port }}]}
- {from: gateway, to: orchestrator, ports: [{{ .Values.orchestrator.port }}]}
{{- if .Values.tokenizer.rayService.enabled }}
- {from: tokenizer, to: tokenizer, ports: ["1024-65535"]} # Ray chooses its ports
- {from: rayOperator, to: tokenizer, ports: [8265, 8000]}
{{- end }}
{{- if gt (int .Values.llm.ranks) 1 }}
- {from: llm, to: llm, ports: ["1024-65535"]} # ranks: torch chooses the ports
{{- end }}
{{- range $name := $editing }}
- {from: {{ $name }}, to: tokenizer, ports: [{{ $.Values.tokenizer.port }}]}
- {from: {{ $name }}, to: llm, ports: [{{ $.Values.llm.ports.grpc }}]}
{{- range $role, $place := $places }}
{{- if (index $jobs $role).secret }}
- {from: {{ $name }}, to: {{ $place }}, ports: [{{ index $ports $place }}]}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.trial.enabled (eq .Values.worker.autoscaling.by "keda") }}
- {from: scalers, to: postgresql, ports: [5432]}
{{- end }}
{{- if .Values.model.store.url }}
- {from: tokenizer, to: modelStore, ports: [{{ $outside.modelStore.port }}]}
- {from: llm, to: modelStore, ports: [{{ $outside.modelStore.port }}]}
{{- end }}
{{- if .Values.jobs.database.secret }}
- {from: migrate, to: database, ports: [{{ $outside.database.port }}]}
{{- end }}
{{- if .Values.auth.oidc.issuer }}
- {from: orchestrator, to: issuer, ports: [{{ $outside.issuer.port }}]}
{{- end }}
{{- if .Values.auth.quotas.storeSecret }}
- {from: orchestrator, to: quotaStore, ports: [{{ $outside.quotaStore.port }}]}
{{- end }}
{{- with include "uniaudio.otlpEndpoint" . }}
{{- $port := include "uniaudio.otlpPort" . }}
{{- range $name := uniq (concat $services $editing) }}
{{- /* Triton sends its own spans by HTTP, which collectors take at the next port. */}}
- {from: {{ $name }}, to: {{ ternary "collector" "telemetry" $.Values.collector.enabled }}, ports: [{{ $port }}{{ if and (eq $name "llm") (eq $port "4317") }}, 4318{{ end }}]}
{{- end }}
{{- end }}
{{- if .Values.collector.enabled }}
- {from: scrapers, to: collector, ports: [9464]}
{{- with .Values.collector.tracesEndpoint }}
- {from: collector, to: telemetry, ports: [{{ include "uniaudio.otlpPort" . }}]}
{{- end }}
{{- end }}
{{- end -}}

{{/* One end of a rule: [peers]. Takes (list root "name"). */}}
{{- define "uniaudio.peers" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
{{- if hasKey $root.Values.networkPolicy.outside $name -}}
{{- toYaml (index $root.Values.networkPolicy.outside $name).peers -}}
{{- else -}}
- podSelector:
    matchLabels:
      {{- include "uniaudio.selectorLabels" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* One port, or all from "first-last". */}}
{{- define "uniaudio.portRule" -}}
{{- $ends := splitList "-" (toString .) -}}
{port: {{ first $ends }}, {{ if gt (len $ends) 1 }}endPort: {{ last $ends }}, {{ end }}protocol: TCP}
{{- end -}}
