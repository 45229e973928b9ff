{{/*
What the services share. Each helper takes (list root "name"), name being the service's folder,
image, Deployment and service.name.
*/}}

{{- define "uniaudio.fullname" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
{{- printf "%s-%s" ($root.Release.Name | trunc 48 | trimSuffix "-") $name -}}
{{- end -}}

{{- define "uniaudio.selectorLabels" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
app.kubernetes.io/name: uniaudio
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ $name }}
{{- end -}}

{{- define "uniaudio.labels" -}}
{{- $root := index . 0 -}}
{{ include "uniaudio.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | quote }}
{{- end -}}

{{- define "uniaudio.image" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
{{- $registry := $root.Values.image.registry -}}
{{- if (index $root.Values $name).image -}}
{{- (index $root.Values $name).image -}}
{{- else -}}
{{- printf "%suniaudio/%s:%s" (ternary "" (printf "%s/" $registry) (empty $registry)) $name ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Pod fields that all services share: rights, secrets, placement. Takes (list root "name"). */}}
{{- define "uniaudio.podSpec" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}{{- $values := index $root.Values $name -}}
serviceAccountName: {{ include "uniaudio.fullname" . }}
{{ include "uniaudio.podSecurity" 10001 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.priorityClassName }}
priorityClassName: {{ $values.priorityClassName | quote }}
{{- else if $root.Values.priorityClasses.enabled }}
priorityClassName: {{ include "uniaudio.priorityClass" (list $root (ternary "batch" "live" (eq $name "worker"))) }}
{{- end }}
{{- with $root.Values.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ .maxSkew }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "uniaudio.selectorLabels" (list $root $name) | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* How long a pod may go on after it was told to stop: new calls go elsewhere, running ones end, a margin. */}}
{{/* Takes (list root seconds), the longest that one of its calls may take. */}}
{{- define "uniaudio.terminationSeconds" -}}
{{- add (index . 0).Values.limits.drainSeconds (index . 1) 30 -}}
{{- end -}}

{{/* Waits until nobody sends new calls any more, before the process is told. Takes root. */}}
{{- define "uniaudio.lifecycle" -}}
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ .Values.limits.drainSeconds | quote }}]
{{- end -}}

{{/* What a pod must not do. Takes its user's number. */}}
{{- define "uniaudio.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "uniaudio.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
Probes by gRPC's own health protocol. Takes (dict "tls" "port" "startupSeconds" "liveness"), the last being the service
whose health is the process's own, none where everything's is. The kubelet cannot speak TLS: then a program in the
container asks, less often, since each time it starts anew.
*/}}
{{- define "uniaudio.probes" -}}
{{- $period := ternary 15 5 .tls -}}
{{- $alive := dict "tls" .tls "port" .port "service" (.liveness | default "") -}}
startupProbe:
  {{- include "uniaudio.probe" $alive | nindent 2 }}
  periodSeconds: {{ $period }}
  timeoutSeconds: 10
  failureThreshold: {{ max 1 (div .startupSeconds $period) }}
readinessProbe:
  {{- with .readyCommand }}
  exec:
    command: {{ . | toJson }}
  {{- else }}
  {{- include "uniaudio.probe" (dict "tls" .tls "port" .port "service" "") | nindent 2 }}
  {{- end }}
  periodSeconds: {{ ternary 15 $period (not (empty .readyCommand)) }}
  timeoutSeconds: {{ ternary 10 5 (or .tls (not (empty .readyCommand))) }}
  failureThreshold: 2
livenessProbe:
  {{- include "uniaudio.probe" $alive | nindent 2 }}
  periodSeconds: {{ mul 4 $period }}
  timeoutSeconds: 10
  failureThreshold: 6
{{- end -}}

{{- define "uniaudio.probe" -}}
{{- if .tls -}}
exec:
  command: [python, -m, uniaudio.runtime.health_check, {{ .port | quote }}, {{ .service | quote }}]
{{- else -}}
grpc:
  port: {{ .port }}
  service: {{ .service | quote }}
{{- end -}}
{{- end -}}

{{/* A service account without rights. Takes (list root "name"). */}}
{{- define "uniaudio.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "uniaudio.fullname" . }}
  labels:
    {{- include "uniaudio.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{/* The same for a hook's pod: a hook too, which is there before it. Takes (list root "name" "hooks"). */}}
{{- define "uniaudio.hookServiceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "uniaudio.fullname" . }}
  labels:
    {{- include "uniaudio.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: {{ index . 2 }}
    helm.sh/hook-weight: "-1"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
automountServiceAccountToken: false
{{- end -}}
