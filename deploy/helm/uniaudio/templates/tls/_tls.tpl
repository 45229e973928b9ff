{{/* The secret with a component's tls.crt, tls.key and ca.crt. Takes (list root "name"). */}}
{{- define "uniaudio.tls.secret" -}}
{{- $tls := (index . 0).Values.tls -}}
{{- if eq (empty $tls.secret) (empty $tls.certManager.issuer) -}}
{{- fail "tls.enabled needs certificates from one place: name tls.secret, or tls.certManager.issuer" -}}
{{- end -}}
{{- $tls.secret | default (printf "%s-tls" (include "uniaudio.fullname" .)) -}}
{{- end -}}

{{/* What a server shows, and whether clients must show theirs. Takes (list root mutual). */}}
{{- define "uniaudio.env.tlsServer" -}}
{{- if (index . 0).Values.tls.enabled }}
UNIAUDIO_TLS_CERT_FILE: /etc/uniaudio/tls/tls.crt
UNIAUDIO_TLS_KEY_FILE: /etc/uniaudio/tls/tls.key
{{- if index . 1 }}
UNIAUDIO_TLS_CLIENT_CA_FILE: /etc/uniaudio/tls/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* Whom a client believes, and what it shows; probes are clients as well. Takes root. */}}
{{- define "uniaudio.env.tlsClient" -}}
{{- if .Values.tls.enabled }}
UNIAUDIO_TLS_CA_FILE: /etc/uniaudio/tls/ca.crt
UNIAUDIO_TLS_CLIENT_CERT_FILE: /etc/uniaudio/tls/tls.crt
UNIAUDIO_TLS_CLIENT_KEY_FILE: /etc/uniaudio/tls/tls.key
{{- end }}
{{- end -}}

{{/* "true" where the gateway serves HTTPS. Takes root. */}}
{{- define "uniaudio.tls.gateway" -}}
{{- if and .Values.tls.enabled .Values.tls.gateway }}true{{ end -}}
{{- end -}}

{{- define "uniaudio.tls.mount" -}}
{{- if .Values.tls.enabled -}}
- {name: tls, mountPath: /etc/uniaudio/tls, readOnly: true}
{{- end -}}
{{- end -}}

{{- define "uniaudio.tls.volume" -}}
{{- if (index . 0).Values.tls.enabled -}}
- name: tls
  secret: {secretName: {{ include "uniaudio.tls.secret" . | quote }}}
{{- end -}}
{{- end -}}
