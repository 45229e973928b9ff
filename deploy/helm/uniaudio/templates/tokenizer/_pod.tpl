{{/* What the tokenizer's Deployment and its RayService share. All take root. */}}
{{- define "uniaudio.tokenizer.mounts" -}}
{{- with include "uniaudio.tls.mount" . }}
{{- . }}
{{ end -}}
{{ include "uniaudio.modelMounts" . }}
{{ include "uniaudio.tokenizer.scratchMounts" . }}
{{- end -}}

{{- define "uniaudio.tokenizer.scratchMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: shm, mountPath: /dev/shm}
{{- end -}}

{{- define "uniaudio.tokenizer.volumes" -}}
{{- with include "uniaudio.tls.volume" (list . "tokenizer") }}
{{- . }}
{{ end -}}
{{ include "uniaudio.modelVolume" . }}
{{ include "uniaudio.tokenizer.scratchVolumes" . }}
{{- end -}}

{{- define "uniaudio.tokenizer.scratchVolumes" -}}
- name: tmp
  emptyDir: {}
- name: shm # Ray's object store
  emptyDir: {medium: Memory, sizeLimit: 512Mi}
{{- end -}}

{{- define "uniaudio.tokenizer.env" -}}
{{ include "uniaudio.env.listening" (not .Values.tls.enabled) }}
{{- include "uniaudio.env.tlsServer" (list . true) }}
{{- include "uniaudio.env.tlsClient" . }}
UNIAUDIO_MODEL_DIR: {{ include "uniaudio.modelDirectory" . | quote }}
UNIAUDIO_TOKENIZER_PORT: {{ .Values.tokenizer.port | quote }}
UNIAUDIO_TOKENIZER_GRACE_SECONDS: {{ .Values.limits.requestSeconds | quote }}
{{- end -}}
