{{/* A small database, broker and object store, to try everything on a bare cluster. Lost with the release. */}}

{{- define "uniaudio.trial.secret" -}}
{{- .Values.trial.secret | default (include "uniaudio.fullname" (list . "trial")) -}}
{{- end -}}

{{/* What `lookup` finds under a secret's key, so that an upgrade keeps it, or the default. Takes (list secret key default). */}}
{{- define "uniaudio.trial.kept" -}}
{{- $data := (index . 0).data | default dict -}}
{{- $key := index . 1 -}}
{{- if hasKey $data $key }}{{ get $data $key | b64dec }}{{ else }}{{ index . 2 }}{{ end -}}
{{- end -}}

{{/*
Service and StatefulSet of one part. Takes (dict "root" "name" "user" "ports" "scratch"): the image's user, ports by
name, folders that are written beside /data. The container's own fields are the template uniaudio.trial.NAME.
*/}}
{{- define "uniaudio.trial.part" -}}
{{- $root := .root -}}{{- $values := index $root.Values.trial .name -}}{{- $me := list $root .name -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "uniaudio.fullname" $me }}
  labels:
    {{- include "uniaudio.labels" $me | nindent 4 }}
spec:
  selector:
    {{- include "uniaudio.selectorLabels" $me | nindent 4 }}
  ports:
    - {name: {{ .name }}, port: {{ .port }}, targetPort: {{ .name }}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "uniaudio.fullname" $me }}
  labels:
    {{- include "uniaudio.labels" $me | nindent 4 }}
spec:
  serviceName: {{ include "uniaudio.fullname" $me }}
  replicas: 1
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  selector:
    matchLabels:
      {{- include "uniaudio.selectorLabels" $me | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "uniaudio.labels" $me | nindent 8 }}
    spec:
      serviceAccountName: {{ include "uniaudio.fullname" (list $root "trial") }}
      {{- include "uniaudio.podSecurity" .user | nindent 6 }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include (printf "uniaudio.trial.%s.init" .name) $root }}
      {{- . | nindent 6 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ $values.image | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          ports:
            - {name: {{ .name }}, containerPort: {{ .port }}}
          {{- include (printf "uniaudio.trial.%s" .name) $root | nindent 10 }}
          securityContext:
            {{- include "uniaudio.containerSecurity" $me | nindent 12 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: /data}
            {{- range $index, $folder := .scratch }}
            - {name: scratch, mountPath: {{ $folder }}, subPath: {{ printf "folder-%d" $index }}}
            {{- end }}
      volumes:
        - name: scratch
          emptyDir: {}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        resources:
          requests: {storage: {{ $values.storage }}}
{{- end -}}

{{/* A variable from the trial's secret. Takes (list root "VARIABLE" "key"). */}}
{{- define "uniaudio.trial.variable" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef: {name: {{ include "uniaudio.trial.secret" (index . 0) | quote }}, key: {{ index . 2 }}}
{{- end -}}
