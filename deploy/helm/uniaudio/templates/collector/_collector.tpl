{{/* Where all services send traces and metrics, or nothing. Takes root. */}}
{{- define "uniaudio.otlpEndpoint" -}}
{{- if and .Values.collector.enabled .Values.telemetry.otlpEndpoint -}}
{{- fail "collector.enabled brings a collector: leave telemetry.otlpEndpoint empty and name yours in collector.tracesEndpoint, or switch it off" -}}
{{- end -}}
{{- if .Values.collector.enabled -}}
http://{{ include "uniaudio.fullname" (list . "collector") }}:4317
{{- else -}}
{{- .Values.telemetry.otlpEndpoint -}}
{{- end -}}
{{- end -}}

{{/* The port of an address, or OTLP's own. */}}
{{- define "uniaudio.otlpPort" -}}
{{- regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default "4317" -}}
{{- end -}}

{{/* Which release a series is of, where it comes by the collector. Takes root. */}}
{{- define "uniaudio.releaseLabel" -}}
{{- printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- end -}}

{{- define "uniaudio.collector.config" -}}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: 0.0.0.0:4317}
      http: {endpoint: 0.0.0.0:4318} # Triton
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 80, spike_limit_percentage: 20}
  batch: {}
exporters:
  prometheus:
    endpoint: 0.0.0.0:9464
    metric_expiration: 60s # four exports of a service: what is gone must not go on counting as waiting
    const_labels: {uniaudio_release: {{ include "uniaudio.releaseLabel" . | quote }}}
  {{- with .Values.collector.tracesEndpoint }}
  otlp:
    endpoint: {{ (urlParse .).host }}
    tls: {insecure: {{ not (hasPrefix "https://" .) }}}
  {{- else }}
  nop: {}
  {{- end }}
extensions:
  health_check: {endpoint: 0.0.0.0:13133}
service:
  extensions: [health_check]
  pipelines:
    metrics: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [prometheus]}
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [{{ ternary "nop" "otlp" (empty .Values.collector.tracesEndpoint) }}]}
{{- end -}}
