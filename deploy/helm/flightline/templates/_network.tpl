{{/* Who may talk to whom. Peers of one kind are lists of NetworkPolicyPeers, as YAML; an empty list means anywhere. */}}

{{- define "flightline.podPeers" -}}
- podSelector:
    matchLabels:
      {{- include "flightline.selector" .root | nindent 6 }}
    matchExpressions:
      - key: app.kubernetes.io/name
        operator: In
        values: {{ toJson .names }}
{{- end -}}

{{/* Pods of jobs, which may be in another namespace. */}}
{{- define "flightline.jobPeers" -}}
- podSelector:
    matchLabels:
      {{- include "flightline.componentSelector" (dict "root" . "name" "odm-job") | nindent 6 }}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ .Values.argo.namespace | default .Release.Namespace }}
{{- end -}}

{{- define "flightline.egressTo" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "flightline.ingressFrom" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  from:
    {{- .from | nindent 4 }}
{{- end -}}

{{- define "flightline.dnsEgress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
{{- end -}}

{{- define "flightline.listed" -}}
{{- if . -}}{{ toYaml . }}{{- end -}}
{{- end -}}

{{- define "flightline.busEgress" -}}
{{- $backend := .Values.networkPolicy.backends.rabbitmq -}}
{{- if eq .Values.rabbitmq.mode "dev" -}}
{{ include "flightline.egressTo" (dict "ports" (list 5672) "to" (include "flightline.podPeers" (dict "root" . "names" (list "rabbitmq")))) }}
{{- else if eq .Values.rabbitmq.mode "operator" -}}
{{ include "flightline.egressTo" (dict "ports" (list 5672) "to" (printf "- podSelector:\n    matchLabels:\n      app.kubernetes.io/name: %s-rabbitmq" (include "flightline.fullname" .))) }}
{{- else -}}
{{ include "flightline.egressTo" (dict "ports" $backend.ports "to" (include "flightline.listed" $backend.to)) }}
{{- end -}}
{{- end -}}

{{- define "flightline.stateEgress" -}}
{{- $backend := .Values.networkPolicy.backends.mongodb -}}
{{- if eq .Values.mongodb.mode "dev" -}}
{{ include "flightline.egressTo" (dict "ports" (list 27017) "to" (include "flightline.podPeers" (dict "root" . "names" (list "mongodb")))) }}
{{- else if eq .Values.mongodb.mode "operator" -}}
{{ include "flightline.egressTo" (dict "ports" (list 27017) "to" (printf "- podSelector:\n    matchLabels:\n      app: %s-mongodb-svc" (include "flightline.fullname" .))) }}
{{- else -}}
{{ include "flightline.egressTo" (dict "ports" $backend.ports "to" (include "flightline.listed" $backend.to)) }}
{{- end -}}
{{- end -}}

{{/* Takes a dict with root and namespaced: whether who asks may be in another namespace than the dev server. */}}
{{- define "flightline.objectEgress" -}}
{{- $backend := .root.Values.networkPolicy.backends.objects -}}
{{- if eq .root.Values.objects.mode "dev" -}}
{{- $peers := include "flightline.podPeers" (dict "root" .root "names" (list "s3")) -}}
{{- if .namespaced -}}
{{- $peers = printf "%s\n  namespaceSelector:\n    matchLabels:\n      kubernetes.io/metadata.name: %s" $peers .root.Release.Namespace -}}
{{- end -}}
{{ include "flightline.egressTo" (dict "ports" (list 7070) "to" $peers) }}
{{- else -}}
{{ include "flightline.egressTo" (dict "ports" $backend.ports "to" (include "flightline.listed" $backend.to)) }}
{{- end -}}
{{- end -}}

{{- define "flightline.outsideEgress" -}}
{{- $outside := .Values.networkPolicy.outside -}}
- ports:
    {{- range $outside.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: {{ toJson $outside.except }}
    - ipBlock:
        cidr: ::/0
        except: {{ toJson $outside.exceptIPv6 }}
    {{- with $outside.also }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "flightline.kubernetesEgress" -}}
{{- $api := .Values.networkPolicy.kubernetesApi -}}
{{ include "flightline.egressTo" (dict "ports" $api.ports "to" (include "flightline.listed" $api.to)) }}
{{- end -}}

{{/* A policy: takes root, name, namespace (or none), ingress and egress as YAML lists (or none). */}}
{{- define "flightline.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "flightline.labels" .root | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "flightline.componentSelector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .egress }}
  egress:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Nothing to or from any pod of ours, but for what other policies allow: takes root, name and namespace. */}}
{{- define "flightline.denial" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "flightline.labels" .root | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "flightline.selector" .root | nindent 6 }}
    matchExpressions: # what operators make has labels of ours, and rules of its own
      - key: app.kubernetes.io/name
        operator: In
        values: {{ concat (keys .root.Values.services | sortAlpha) (list "mongodb" "odm-job" "rabbitmq" "s3" "test" "tools") | toJson }}
  policyTypes: [Ingress, Egress]
{{- end -}}
