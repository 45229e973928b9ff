{{/* Who scales the pods that do the work: {llm: hpa or keda, worker: hpa or keda}, those that are scaled. Takes root. */}}
{{- define "uniaudio.scaled" -}}
{{- range $name := list "llm" "worker" }}
{{- $by := (index $.Values $name).autoscaling.by }}
{{- if and $by (or (eq $name "llm") (include "uniaudio.jobs.hasWorkers" $)) }}
{{ $name }}: {{ $by }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "uniaudio.scaleTarget" -}}
apiVersion: apps/v1
kind: Deployment
name: {{ include "uniaudio.fullname" . }}
{{- end -}}

{{/* What a HorizontalPodAutoscaler shares. Takes (list root "name"). */}}
{{- define "uniaudio.hpa" -}}
{{- $root := index . 0 -}}{{- $scaling := (index $root.Values (index . 1)).autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "uniaudio.fullname" . }}
  labels:
    {{- include "uniaudio.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    {{- include "uniaudio.scaleTarget" . | nindent 4 }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  behavior:
    scaleDown: {stabilizationWindowSeconds: 300}
{{- end -}}
