{{/* Environment of the services: what the chart knows, what values say, and where secrets come from. */}}

{{/* Variables that the chart sets itself, for all services, as a YAML map. Takes the root. */}}
{{- define "flightline.platformVariables" -}}
{{- $facts := include "flightline.facts" . | fromJson -}}
FLIGHTLINE_HOST: 0.0.0.0
FLIGHTLINE_HOME: /data
FLIGHTLINE_LOG_FORMAT: json
FLIGHTLINE_DISCOVERY_URL: http://{{ include "flightline.fullname" . }}-discovery:{{ $facts.services.discovery.port }}
{{ include "flightline.objectVariables" . }}
{{- if and (eq .Values.rabbitmq.mode "external") .Values.rabbitmq.external.url }}
FLIGHTLINE_BUS: {{ .Values.rabbitmq.external.url }}
{{- end }}
{{- if and (eq .Values.mongodb.mode "external") .Values.mongodb.external.url }}
FLIGHTLINE_STATE: {{ .Values.mongodb.external.url }}
{{- end }}
{{- if .Values.vault.role }}
FLIGHTLINE_VAULT_KUBERNETES_ROLE: {{ .Values.vault.role }}
FLIGHTLINE_VAULT_KUBERNETES_TOKEN_FILE: /var/run/secrets/vault/token
{{- end }}
{{- range $name, $path := .Values.vaultAgent.secrets }}
{{ $name }}: file:/vault/secrets/{{ $name }}
{{- end }}
{{- end -}}

{{/* Where objects are, for services and for the pods of jobs. */}}
{{- define "flightline.objectVariables" -}}
{{- if eq .Values.objects.mode "dev" -}}
FLIGHTLINE_OBJECTS: s3://flightline/objects
FLIGHTLINE_S3_ENDPOINT: http://{{ include "flightline.fullname" . }}-s3:7070
FLIGHTLINE_S3_REGION: us-east-1
{{- else -}}
FLIGHTLINE_OBJECTS: {{ .Values.objects.external.url }}
{{- with .Values.objects.external.endpoint }}
FLIGHTLINE_S3_ENDPOINT: {{ . }}
{{- end }}
{{- with .Values.objects.external.region }}
FLIGHTLINE_S3_REGION: {{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Variables of one service, as a YAML map: takes the context of a service. The schema lets values set none of
     those that the chart sets. */}}
{{- define "flightline.serviceVariables" -}}
{{- $root := .root -}}
{{- $own := dict .facts.portVariable .facts.port -}}
{{- if eq .name "odm-gateway" -}}
{{- $own = merge $own (include "flightline.gatewayVariables" $root | fromYaml) -}}
{{- end -}}
{{- $family := (index $root.Values.services .facts.settingsOf).settings -}}
{{- $platform := include "flightline.platformVariables" $root | fromYaml -}}
{{- $all := mergeOverwrite (dict) $platform $root.Values.settings $family .values.settings $own -}}
{{- range $name, $value := $all }}
{{ $name }}: {{ include "flightline.text" $value | quote }}
{{- end -}}
{{- end -}}

{{- define "flightline.gatewayVariables" -}}
{{- if .Values.argo.enabled -}}
ODM_GATEWAY_ENGINE: argo
ODM_GATEWAY_ARGO_NAMESPACE: {{ .Values.argo.namespace | default .Release.Namespace }}
ODM_GATEWAY_ARGO_TEMPLATE: {{ include "flightline.fullname" . }}-odm
{{- if .Values.argo.gpu.enabled }}
ODM_GATEWAY_ARGO_GPU_TEMPLATE: {{ include "flightline.fullname" . }}-odm-gpu
{{- end }}
{{- if .Values.argo.kubeconfig.secret }}
ODM_GATEWAY_ARGO_KUBECONFIG: /etc/flightline/kubeconfig/{{ .Values.argo.kubeconfig.key }}
{{- end }}
{{- if .Values.argo.splitTasks }}
ODM_GATEWAY_CLUSTER_URL: http://{{ include "flightline.fullname" . }}-odm-gateway.{{ .Release.Namespace }}.svc:{{ (index (include "flightline.facts" . | fromJson).services "odm-gateway").port }}
{{- end }}
{{- else -}}
ODM_GATEWAY_ENGINE: local
{{- end -}}
{{- end -}}

{{/* Secrets of one service, as a YAML map of variable to {name, key}: takes the context of a service, or of none with
     only root, for what all have. */}}
{{- define "flightline.secretVariables" -}}
{{- $root := .root -}}
{{- $fullname := include "flightline.fullname" $root -}}
{{- $all := dict -}}
{{- range $name, $_ := $root.Values.dev.secrets -}}
{{- $_ := set $all $name (dict "name" (printf "%s-dev" $fullname)) -}}
{{- end -}}
{{- if eq $root.Values.rabbitmq.mode "dev" -}}
{{- $_ := set $all "FLIGHTLINE_BUS" (dict "name" (printf "%s-rabbitmq" $fullname)) -}}
{{- else if eq $root.Values.rabbitmq.mode "operator" -}}
{{- $_ := set $all "FLIGHTLINE_BUS" (dict "name" (printf "%s-rabbitmq-default-user" $fullname) "key" "connection_string") -}}
{{- else if $root.Values.rabbitmq.external.secret.name -}}
{{- $_ := set $all "FLIGHTLINE_BUS" $root.Values.rabbitmq.external.secret -}}
{{- end -}}
{{- if eq $root.Values.mongodb.mode "dev" -}}
{{- $_ := set $all "FLIGHTLINE_STATE" (dict "name" (printf "%s-mongodb" $fullname)) -}}
{{- else if eq $root.Values.mongodb.mode "operator" -}}
{{- $_ := set $all "FLIGHTLINE_STATE" (dict "name" (printf "%s-mongodb-connection" $fullname) "key" "connectionString.standard") -}}
{{- else if $root.Values.mongodb.external.secret.name -}}
{{- $_ := set $all "FLIGHTLINE_STATE" $root.Values.mongodb.external.secret -}}
{{- end -}}
{{- with (include "flightline.objectSecret" $root) -}}
{{- $_ := set $all "FLIGHTLINE_S3_ACCESS_KEY" (dict "name" .) -}}
{{- $_ := set $all "FLIGHTLINE_S3_SECRET_KEY" (dict "name" .) -}}
{{- end -}}
{{- $all = mergeOverwrite $all $root.Values.secrets -}}
{{- if .facts -}}
{{- $all = mergeOverwrite $all (index $root.Values.services .facts.settingsOf).secrets .values.secrets -}}
{{- end -}}
{{- range $name, $from := $all }}
{{ $name }}: {name: {{ $from.name | quote }}, key: {{ $from.key | default $name | quote }}}
{{- end -}}
{{- end -}}

{{/* The secret with FLIGHTLINE_S3_ACCESS_KEY and FLIGHTLINE_S3_SECRET_KEY; empty where pods have a role. */}}
{{- define "flightline.objectSecret" -}}
{{- if eq .Values.objects.mode "dev" -}}
{{ include "flightline.fullname" . }}-s3
{{- else -}}
{{ .Values.objects.external.existingSecret }}
{{- end -}}
{{- end -}}

{{/* Entries of `env` for the secrets: takes the context of a service. */}}
{{- define "flightline.secretEnv" -}}
{{- range $name, $from := include "flightline.secretVariables" . | fromYaml }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.name }}
      key: {{ $from.key }}
{{- end -}}
{{- end -}}

{{/* Changes when what the chart itself keeps for pods changes, so that they are started anew. */}}
{{- define "flightline.checksum" -}}
{{- printf "%s\n%s" (include "flightline.serviceVariables" .) (toJson .root.Values.dev) | sha256sum -}}
{{- end -}}

{{/* Seconds from the end of preStop to the end of the process: takes the context of a service. */}}
{{- define "flightline.drainSeconds" -}}
{{- $variables := include "flightline.serviceVariables" . | fromYaml -}}
{{- $grace := index $variables .facts.graceVariable | default (printf "%v" .facts.graceSeconds) -}}
{{- add (include "flightline.seconds" $grace) .facts.handBackSeconds -}}
{{- end -}}
