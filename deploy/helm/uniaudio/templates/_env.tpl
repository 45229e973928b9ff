{{/*
Environment variables are written as maps, NAME: value, NAME: {secret: name, key: key} or NAME: {field: path}, and laid over each other:
what all services share, what the template gives, what the values' own `env` says.
*/}}

{{/* The list for a container. Takes (list root "name" "YAML of the template's map"). */}}
{{- define "uniaudio.env" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
{{- $shared := include "uniaudio.env.shared" (list $root $name) | fromYaml -}}
{{- range $variable, $value := mergeOverwrite $shared (index . 2 | fromYaml) (index $root.Values $name).env }}
- name: {{ $variable }}
{{- if and (kindIs "map" $value) (hasKey $value "field") }}
  valueFrom:
    fieldRef: {fieldPath: {{ $value.field }}}
{{- else if kindIs "map" $value }}
  valueFrom:
    secretKeyRef: {name: {{ $value.secret | quote }}, key: {{ $value.key | quote }}}
{{- else }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "uniaudio.env.shared" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
HOME: /tmp
{{- if not (has $name (list "migrate" "test" "collector")) }}
UNIAUDIO_LOG_LEVEL: {{ $root.Values.logLevel | quote }}
{{- with include "uniaudio.otlpEndpoint" $root }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
OTEL_METRIC_EXPORT_INTERVAL: "15000" # autoscaling goes by what waits now
OTEL_SERVICE_NAME: {{ $name }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Who listens on all addresses, and whether strangers are served there. Takes "true" or "false". */}}
{{- define "uniaudio.env.listening" -}}
UNIAUDIO_HOST: "0.0.0.0"
UNIAUDIO_ALLOW_ANONYMOUS: {{ . | quote }}
{{- end -}}

{{/* What edits recordings: the orchestrator and its workers. Takes root. */}}
{{- define "uniaudio.env.editing" -}}
UNIAUDIO_TOKENIZER_ADDRESS: {{ printf "dns:///%s:%v" (include "uniaudio.fullname" (list . "tokenizer")) .Values.tokenizer.port | quote }}
UNIAUDIO_LLM_ADDRESS: {{ printf "dns:///%s:%v" (include "uniaudio.fullname" (list . "llm")) .Values.llm.ports.grpc | quote }}
UNIAUDIO_ORCHESTRATOR_MAX_GENERATION_SECONDS: {{ .Values.limits.generationSeconds | quote }}
{{ include "uniaudio.env.jobs" . }}
{{- if include "uniaudio.keysSecret" . }}
UNIAUDIO_SIGNING_KEY: /etc/uniaudio/keys/signing.pem
UNIAUDIO_WATERMARK_KEY: /etc/uniaudio/keys/watermark.key
{{- else }}
UNIAUDIO_KEYS_DIR: /tmp/uniaudio-keys
{{- end }}
{{- end -}}
