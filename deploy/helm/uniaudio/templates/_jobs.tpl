{{/* Where jobs are kept: {database, broker, objectStore}, each with a secret or none. Takes root. */}}
{{- define "uniaudio.jobs" -}}
{{- $jobs := .Values.jobs -}}
{{- if ne (empty $jobs.database.secret) (empty $jobs.objectStore.secret) -}}
{{- fail "jobs.database.secret and jobs.objectStore.secret belong together: set both, or neither" -}}
{{- end -}}
{{- if and $jobs.broker.secret (not $jobs.database.secret) -}}
{{- fail "jobs.broker.secret is set: workers in pods of their own need jobs.database.secret and jobs.objectStore.secret too" -}}
{{- end -}}
{{- toYaml $jobs -}}
{{- end -}}

{{/* "true" where a broker brings items to workers in pods of their own. Takes root. */}}
{{- define "uniaudio.jobs.hasWorkers" -}}
{{- $jobs := include "uniaudio.jobs" . | fromYaml -}}
{{- if $jobs.broker.secret }}true{{ end -}}
{{- end -}}

{{/* The jobs' database, for a container. Takes root. */}}
{{- define "uniaudio.env.database" -}}
{{- with (include "uniaudio.jobs" . | fromYaml).database -}}
UNIAUDIO_JOBS_DATABASE: {secret: {{ .secret | quote }}, key: {{ .key | quote }}}
{{- end -}}
{{- end -}}

{{- define "uniaudio.env.jobs" -}}
{{- $jobs := include "uniaudio.jobs" . | fromYaml -}}
{{- if $jobs.database.secret -}}
{{ include "uniaudio.env.database" . }}
{{- else -}}
UNIAUDIO_JOBS_DIR: /tmp/uniaudio-jobs
{{- end -}}
{{- with $jobs.broker -}}
{{- if .secret }}
UNIAUDIO_JOBS_BROKER: {secret: {{ .secret | quote }}, key: {{ .key | quote }}}
{{- end -}}
{{- end -}}
{{- with $jobs.objectStore -}}
{{- if .secret }}
UNIAUDIO_JOBS_STORE: {secret: {{ .secret | quote }}, key: url}
UNIAUDIO_S3_ENDPOINT: {secret: {{ .secret | quote }}, key: endpoint}
UNIAUDIO_S3_ACCESS_KEY: {secret: {{ .secret | quote }}, key: access-key}
UNIAUDIO_S3_SECRET_KEY: {secret: {{ .secret | quote }}, key: secret-key}
UNIAUDIO_S3_REGION: {{ .region | quote }}
UNIAUDIO_S3_TLS: {{ .tls | quote }}
{{- if .caSecret }}
UNIAUDIO_S3_CA_FILE: /etc/uniaudio/object-store/ca.crt
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Files of what edits recordings. Both take root. */}}
{{- define "uniaudio.editing.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.provenance.keysSecret }}
- {name: keys, mountPath: /etc/uniaudio/keys, readOnly: true}
{{- end }}
{{- if .Values.jobs.objectStore.caSecret }}
- {name: object-store-ca, mountPath: /etc/uniaudio/object-store, readOnly: true}
{{- end }}
{{- end -}}

{{- define "uniaudio.editing.volumes" -}}
{{- with .Values.provenance.keysSecret -}}
- name: keys
  secret: {secretName: {{ . | quote }}}
{{ end -}}
{{- with .Values.jobs.objectStore.caSecret -}}
- name: object-store-ca
  secret: {secretName: {{ . | quote }}}
{{ end -}}
- name: tmp
  emptyDir: {}
{{- end -}}
