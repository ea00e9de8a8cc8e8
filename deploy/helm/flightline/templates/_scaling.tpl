{{/* How many there are of a service: by processor, or by what waits. Takes the context of a service. */}}

{{- define "flightline.byProcessor" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "flightline.fullname" .root }}-{{ .name }}
  minReplicas: {{ .values.autoscaling.min }}
  maxReplicas: {{ .values.autoscaling.max }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .root.Values.scaling.processorPercent }}
  behavior:
    {{- include "flightline.scalingBehavior" . | nindent 4 }}
{{- end -}}

{{/* Slowly down: a pod that is taken away hands its work back. */}}
{{- define "flightline.scalingBehavior" -}}
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - type: Percent
      value: 25
      periodSeconds: 60
{{- end -}}

{{- define "flightline.byQueue" -}}
{{- $fullname := include "flightline.fullname" .root -}}
{{- $each := include "flightline.workPerReplica" . | quote -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $fullname }}-{{ .name }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ $fullname }}-{{ .name }}
  minReplicaCount: {{ .values.autoscaling.min }}
  maxReplicaCount: {{ .values.autoscaling.max }}
  pollingInterval: 15
  cooldownPeriod: 300
  fallback: # what is waiting cannot be asked for: nobody is taken away
    failureThreshold: 4
    replicas: {{ max 1 (int .values.autoscaling.min) }}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "flightline.scalingBehavior" . | nindent 8 }}
  triggers:
    - type: rabbitmq
      metadata: # over HTTP what is being handled counts, too; over AMQP it would not
        protocol: http
        host: {{ include "flightline.managementUrl" .root }}
        vhostName: {{ .root.Values.rabbitmq.vhost | quote }}
        queueName: {{ .facts.scaling.queue }}
        mode: QueueLength
        value: {{ $each }}
        activationValue: "0"
      authenticationRef:
        name: {{ $fullname }}-rabbitmq
    {{- with .facts.scaling.documents }}
    - type: mongodb
      metadata: # an event is only the beginning: its work waits as documents
        dbName: {{ $.root.Values.mongodb.database }}
        collection: {{ .collection }}
        query: {{ toJson .query | quote }}
        queryValue: {{ $each }}
        activationQueryValue: "0"
      authenticationRef:
        name: {{ $fullname }}-mongodb
    {{- end }}
{{- end -}}

{{/* What one pod works on together: what values say, else the setting that limits it. */}}
{{- define "flightline.workPerReplica" -}}
{{- $variables := include "flightline.serviceVariables" . | fromYaml -}}
{{- if .values.autoscaling.perReplica -}}
{{- .values.autoscaling.perReplica | int64 -}}
{{- else -}}
{{- index $variables .facts.scaling.perReplicaVariable | default (printf "%v" .facts.scaling.perReplica) -}}
{{- end -}}
{{- end -}}

{{- define "flightline.managementUrl" -}}
{{- if eq .Values.rabbitmq.mode "external" -}}
{{ .Values.rabbitmq.external.management.url }}
{{- else -}}
http://{{ include "flightline.fullname" . }}-rabbitmq.{{ .Release.Namespace }}.svc:15672
{{- end -}}
{{- end -}}
