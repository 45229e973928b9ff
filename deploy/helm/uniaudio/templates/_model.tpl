{{/*
Where the model lies: a claim's folder, a link into the cache of fetched models, or nano, which is in the images.
*/}}
{{- define "uniaudio.modelIsGiven" -}}
{{- or .Values.model.existingClaim .Values.model.store.url | default "" -}}
{{- end -}}

{{- define "uniaudio.modelDirectory" -}}
{{- if include "uniaudio.modelIsGiven" . -}}
{{- printf "/models/%s" .Values.model.directory -}}
{{- else -}}
/opt/uniaudio/nano
{{- end -}}
{{- end -}}

{{/* Takes (list root "name"). */}}
{{- define "uniaudio.modelInit" -}}
{{- $model := (index . 0).Values.model -}}
{{- if and $model.existingClaim $model.store.url -}}
{{- fail "model.existingClaim and model.store.url are two places for one model: leave one of them empty" -}}
{{- end -}}
{{- if $model.store.url -}}
initContainers:
  {{- include "uniaudio.modelInit.fetch" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* By the orchestrator's image, which has the store's client and no model inside. */}}
{{- define "uniaudio.modelInit.fetch" -}}
{{- $root := index . 0 -}}{{- $store := $root.Values.model.store -}}
{{- $secret := required "model.store.secret is empty: name a secret with endpoint, access-key and secret-key" $store.secret -}}
- name: fetch-model
  image: {{ include "uniaudio.image" (list $root "orchestrator") | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [python, -m, uniaudio.runtime.models, fetch, {{ $store.url | quote }}, {{ include "uniaudio.modelDirectory" $root | quote }}, --cache, /model-cache]
  {{- with $store.digest }}
  args: [--digest, {{ . | quote }}]
  {{- end }}
  env:
    - {name: HOME, value: /tmp}
    {{- range $variable, $key := dict "UNIAUDIO_S3_ENDPOINT" "endpoint" "UNIAUDIO_S3_ACCESS_KEY" "access-key" "UNIAUDIO_S3_SECRET_KEY" "secret-key" }}
    - name: {{ $variable }}
      valueFrom:
        secretKeyRef: {name: {{ $secret | quote }}, key: {{ $key }}}
    {{- end }}
    - {name: UNIAUDIO_S3_REGION, value: {{ $store.region | quote }}}
    - {name: UNIAUDIO_S3_TLS, value: {{ $store.tls | quote }}}
    {{- if $store.caSecret }}
    - {name: UNIAUDIO_S3_CA_FILE, value: /etc/uniaudio/model-store/ca.crt}
    {{- end }}
  securityContext:
    {{- include "uniaudio.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml $root.Values.model.resources | nindent 4 }}
  volumeMounts:
    - {name: model, mountPath: /models}
    - {name: model-cache, mountPath: /model-cache}
    - {name: tmp, mountPath: /tmp}
    {{- if $store.caSecret }}
    - {name: model-store-ca, mountPath: /etc/uniaudio/model-store, readOnly: true}
    {{- end }}
{{- end -}}

{{/* For what serves the model. Takes root. */}}
{{- define "uniaudio.modelMounts" -}}
{{- if include "uniaudio.modelIsGiven" . }}
- {name: model, mountPath: /models, readOnly: true}
{{- end }}
{{- if .Values.model.store.url }}
- {name: model-cache, mountPath: /model-cache, readOnly: true}
{{- end }}
{{- end -}}

{{- define "uniaudio.modelVolume" -}}
{{- $model := .Values.model -}}
{{- if $model.existingClaim }}
- name: model
  persistentVolumeClaim:
    claimName: {{ $model.existingClaim | quote }}
    readOnly: true
{{- else if $model.store.url }}
- name: model
  emptyDir: {}
- name: model-cache
  {{- if and $model.cache.claim $model.cache.hostPath }}
  {{- fail "model.cache.claim and model.cache.hostPath are two places for one cache: leave one of them empty" }}
  {{- else if $model.cache.claim }}
  persistentVolumeClaim: {claimName: {{ $model.cache.claim | quote }}}
  {{- else if $model.cache.hostPath }}
  hostPath: {path: {{ $model.cache.hostPath | quote }}, type: Directory}
  {{- else }}
  emptyDir: {sizeLimit: {{ $model.cache.size }}}
  {{- end }}
{{- with $model.store.caSecret }}
- name: model-store-ca
  secret: {secretName: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end -}}
