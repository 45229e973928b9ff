{{/* Fails with a remedy where the cluster does not know a kind. Takes (list root "group/version/Kind" "value" "what brings it"). */}}
{{- define "uniaudio.needs" -}}
{{- $root := index . 0 -}}
{{- if not ($root.Capabilities.APIVersions.Has (index . 1)) -}}
{{- fail (printf "%s needs %s, which this cluster does not know: install %s, or switch it off (helm template: --api-versions %s)" (index . 2) (index . 1) (index . 3) (index . 1)) -}}
{{- end -}}
{{- end -}}

{{/* Labels of this release's series: what they are selected by. Takes root. */}}
{{- define "uniaudio.seriesLabels" -}}
{{- $labels := deepCopy .Values.monitoring.selector -}}
{{- if .Values.collector.enabled -}}
{{- $_ := set $labels "uniaudio_release" (include "uniaudio.releaseLabel" .) -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* The same as PromQL, with more matchers before: {a="b",c="d"}. Takes (list root "matchers" ...). */}}
{{- define "uniaudio.series" -}}
{{- $matchers := rest . -}}
{{- range $name, $value := include "uniaudio.seriesLabels" (first .) | fromYaml -}}
{{- $matchers = append $matchers (printf "%s=%q" $name $value) -}}
{{- end -}}
{{- printf "{%s}" (join "," $matchers) -}}
{{- end -}}

{{/* Share of calls at the orchestrator that failed by the service's fault. Takes (list root "5m"). */}}
{{- define "uniaudio.errorRatio" -}}
{{- $root := index . 0 -}}{{- $window := index . 1 -}}
{{- $calls := list $root `job="orchestrator"` `rpc_method!~"/grpc[.].+"` -}}
{{- /* UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS; a full queue or a spent quota is told by other means. */ -}}
{{- $failed := append $calls `rpc_grpc_status_code=~"2|4|13|14|15"` -}}
sum(rate(rpc_server_errors_total{{ include "uniaudio.series" $failed }}[{{ $window }}]))
/ sum(rate(rpc_server_duration_seconds_count{{ include "uniaudio.series" $calls }}[{{ $window }}]))
{{- end -}}
