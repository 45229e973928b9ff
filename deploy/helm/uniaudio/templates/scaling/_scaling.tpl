{{/* Who scales the pods that do the work: {llm: hpa or keda, worker: hpa or keda}, those that are scaled. Takes root. */}}
{{- define "uniaudio.scaled" -}}
{{- range $name := list "llm" "worker" }}
{{- $by := (index $.Values $name).autoscaling.by }}
{{- if and $by (or (eq $name "llm") (include "uniaudio.jobs.hasWorkers" $)) }}
{{ $name }}: {{ $by }}
{{- end }}
{{- end }}
{{- end -}}

{{/* One of the release's own priority classes. Takes (list root "live" or "batch"). */}}
{{- define "uniaudio.priorityClass" -}}
{{- printf "%s-%s" (index . 0).Release.Namespace (include "uniaudio.fullname" .) -}}
{{- end -}}

{{- define "uniaudio.scaleTarget" -}}
{{- if and (eq (index . 1) "llm") (gt (int (index . 0).Values.llm.ranks) 1) -}}
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
{{- else -}}
apiVersion: apps/v1
kind: Deployment
{{- end }}
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
