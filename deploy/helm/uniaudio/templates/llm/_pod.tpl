{{/*
The pod that serves the model, and with more than one rank the pods that hold experts for it. Takes (list root rank),
rank being "first" or "other".
*/}}
{{- define "uniaudio.llm.pod" -}}
{{- $root := index . 0 -}}{{- $isFirst := eq (index . 1) "first" -}}
{{- $me := list $root "llm" -}}{{- $llm := $root.Values.llm -}}
metadata:
  labels:
    {{- include "uniaudio.labels" $me | nindent 4 }}
spec:
  {{- include "uniaudio.podSpec" $me | nindent 2 }}
  terminationGracePeriodSeconds: {{ ternary (include "uniaudio.terminationSeconds" (list $root $root.Values.limits.generationSeconds)) 30 $isFirst }}
  {{- with include "uniaudio.modelInit" $me }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: llm
      image: {{ include "uniaudio.image" $me | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      {{- if not $isFirst }}
      command: [python, -m, services.llm.rank]
      {{- end }}
      env:
        {{- include "uniaudio.env" (list $root "llm" (include "uniaudio.llm.env" .)) | trim | nindent 8 }}
      {{- if $isFirst }}
      ports:
        - {name: grpc, containerPort: {{ $llm.ports.grpc }}}
        - {name: http, containerPort: {{ $llm.ports.http }}}
        - {name: metrics, containerPort: {{ $llm.ports.metrics }}}
      {{- /* Triton says that it is ready while a rank is missing; the model knows better. */}}
      {{- $ready := ternary (list "python" "-m" "services.llm" "check") list (gt (int $llm.ranks) 1) }}
      {{- include "uniaudio.probes" (dict "tls" $root.Values.tls.enabled "port" $llm.ports.grpc "startupSeconds" $llm.startupSeconds "readyCommand" $ready) | nindent 6 }}
      {{- include "uniaudio.lifecycle" $root | nindent 6 }}
      {{- else }}
      livenessProbe: # a rank that loads passes it
        exec:
          command: [python, -m, services.llm.rank, check]
        periodSeconds: 20
        timeoutSeconds: 10
        failureThreshold: 2
      {{- end }}
      securityContext:
        {{- include "uniaudio.containerSecurity" $me | nindent 8 }}
      resources:
        {{- toYaml $llm.resources | nindent 8 }}
      volumeMounts:
        {{- with include "uniaudio.tls.mount" $root }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- include "uniaudio.modelMounts" $root | nindent 8 }}
        - {name: tmp, mountPath: /tmp}
        - {name: shm, mountPath: /dev/shm}
  volumes:
    {{- with include "uniaudio.tls.volume" $me }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- include "uniaudio.modelVolume" $root | nindent 4 }}
    - name: tmp
      emptyDir: {}
    - name: shm # Triton hands tensors to its Python stub here
      emptyDir: {medium: Memory, sizeLimit: {{ $llm.sharedMemory }}}
{{- end -}}

{{- define "uniaudio.llm.env" -}}
{{- $root := index . 0 -}}{{- $isFirst := eq (index . 1) "first" -}}
{{- with $root -}}
{{ include "uniaudio.env.listening" (not .Values.tls.enabled) }}
{{- include "uniaudio.env.tlsServer" (list . true) }}
{{- include "uniaudio.env.tlsClient" . }}
UNIAUDIO_MODEL_DIR: {{ include "uniaudio.modelDirectory" . | quote }}
UNIAUDIO_LLM_GRPC_PORT: {{ .Values.llm.ports.grpc | quote }}
UNIAUDIO_LLM_HTTP_PORT: {{ .Values.llm.ports.http | quote }}
UNIAUDIO_LLM_METRICS_PORT: {{ .Values.llm.ports.metrics | quote }}
UNIAUDIO_LLM_MAX_DEADLINE_SECONDS: {{ .Values.limits.generationSeconds | quote }}
UNIAUDIO_LLM_START_SECONDS: {{ .Values.llm.startupSeconds | quote }}
UNIAUDIO_LLM_GRACE_SECONDS: {{ .Values.limits.generationSeconds | quote }}
{{- if gt (int .Values.llm.ranks) 1 }}
RANK: $(LWS_WORKER_INDEX)
WORLD_SIZE: {{ .Values.llm.ranks | quote }}
{{- if $isFirst }}
MASTER_ADDR: {field: status.podIP} # its name may not be known yet
{{- else }}
MASTER_ADDR: $(LWS_LEADER_ADDRESS)
{{- end }}
MASTER_PORT: {{ .Values.llm.ports.ranks | quote }}
{{- end }}
{{- end -}}
{{- end -}}
