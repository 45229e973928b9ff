{{/* Where jobs are kept: {database, broker, objectStore}, each with a secret or none. Takes root. */}}
{{- define "uniaudio.jobs" -}}
{{- $jobs := .Values.jobs -}}
{{- if .Values.trial.enabled -}}
{{- if or $jobs.database.secret $jobs.broker.secret $jobs.objectStore.secret -}}
{{- fail "trial.enabled brings a database, a broker and an object store: leave jobs.*.secret empty, or switch it off" -}}
{{- end -}}
{{- $secret := include "uniaudio.trial.secret" . | quote -}}
database: {secret: {{ $secret }}, key: database-url}
broker: {secret: {{ $secret }}, key: broker-url}
objectStore: {secret: {{ $secret }}, region: us-east-1, tls: false, caSecret: ""}
{{- else -}}
{{- if ne (empty $jobs.database.secret) (empty $jobs.objectStore.secret) -}}
{{- fail "jobs.database.secret and jobs.objectStore.secret belong together: set both, or neither" -}}
{{- end -}}
{{- if and $jobs.broker.secret (not $jobs.database.secret) -}}
{{- fail "jobs.broker.secret is set: workers in pods of their own need jobs.database.secret and jobs.objectStore.secret too" -}}
{{- end -}}
{{- toYaml $jobs -}}
{{- end -}}
{{- end -}}

{{/* The secret with the keys that mark and sign, or none. Takes root. */}}
{{- define "uniaudio.keysSecret" -}}
{{- if .Values.provenance.keysSecret -}}
{{- .Values.provenance.keysSecret -}}
{{- else if .Values.trial.enabled -}}
{{- include "uniaudio.fullname" (list . "trial-keys") -}}
{{- end -}}
{{- end -}}

{{/*
A trial's database comes with the release, so no hook before it can migrate it: each pod does, one after the other,
before it starts. Takes root.
*/}}
{{- define "uniaudio.editing.init" -}}
{{- if .Values.trial.enabled -}}
initContainers:
  - name: migrate
    image: {{ include "uniaudio.image" (list . "orchestrator") | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [python, -m, services.orchestrator.migrate]
    env:
      {{- include "uniaudio.env" (list . "migrate" (include "uniaudio.env.database" .)) | trim | nindent 6 }}
    securityContext:
      {{- include "uniaudio.containerSecurity" . | nindent 6 }}
    resources:
      {{- toYaml .Values.migrate.resources | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
{{- end -}}
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
{{- if include "uniaudio.keysSecret" . }}
- {name: keys, mountPath: /etc/uniaudio/keys, readOnly: true}
{{- end }}
{{- if .Values.jobs.objectStore.caSecret }}
- {name: object-store-ca, mountPath: /etc/uniaudio/object-store, readOnly: true}
{{- end }}
{{- end -}}

{{- define "uniaudio.editing.volumes" -}}
{{- with include "uniaudio.keysSecret" . -}}
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
