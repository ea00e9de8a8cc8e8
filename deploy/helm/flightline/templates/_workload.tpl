{{/* One service: takes a dict with root, name, values (of the service) and facts (of the code). */}}

{{- define "flightline.workload" -}}
{{- $fullname := printf "%s-%s" (include "flightline.fullname" .root) .name -}}
{{- $preStop := ternary .root.Values.preStopSeconds 0 .facts.serves -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $fullname }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
spec:
  {{- if eq .values.autoscaling.by "none" }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "flightline.componentSelector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      labels:
        {{- include "flightline.componentLabels" . | nindent 8 }}
        {{- with .values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ include "flightline.checksum" . }}
        {{- include "flightline.agentAnnotations" .root | nindent 8 }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ $fullname }}
      automountServiceAccountToken: {{ include "flightline.callsKubernetes" . }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ add $preStop (include "flightline.drainSeconds" .) .root.Values.terminationMarginSeconds }}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with .values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .values.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      securityContext:
        {{- include "flightline.podSecurity" . | nindent 8 }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- range $key, $when := dict "kubernetes.io/hostname" "ScheduleAnyway" "topology.kubernetes.io/zone" "ScheduleAnyway" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: {{ $when }}
          labelSelector:
            matchLabels:
              {{- include "flightline.componentSelector" $ | nindent 14 }}
        {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "flightline.image" (dict "root" .root "image" .facts.image) | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: {{ toJson .facts.command }}
          envFrom:
            - configMapRef:
                name: {{ $fullname }}
          {{- with include "flightline.secretEnv" . }}
          env:
            {{- . | nindent 12 }}
          {{- end }}
          ports:
            - name: http
              containerPort: {{ .facts.port }}
              protocol: TCP
          startupProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 60
          livenessProbe: # the loop turns; an outage of a backend restarts nothing
            httpGet: {path: /healthz, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          {{- if $preStop }}
          lifecycle:
            preStop: # until nobody sends it requests any more
              sleep:
                seconds: {{ $preStop }}
          {{- end }}
          {{- with .values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            {{- include "flightline.containerSecurity" . | nindent 12 }}
          volumeMounts:
            {{- include "flightline.mounts" . | nindent 12 }}
      volumes:
        {{- include "flightline.volumes" . | nindent 8 }}
{{- end -}}

{{/* Whether a service talks to the Kubernetes API by its own account. */}}
{{- define "flightline.callsKubernetes" -}}
{{- and (eq .name "odm-gateway") .root.Values.argo.enabled (not .root.Values.argo.kubeconfig.secret) -}}
{{- end -}}

{{- define "flightline.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /data
{{- if .root.Values.vault.role }}
- name: vault-token
  mountPath: /var/run/secrets/vault
  readOnly: true
{{- end }}
{{- if and (eq .name "odm-gateway") .root.Values.argo.kubeconfig.secret }}
- name: kubeconfig
  mountPath: /etc/flightline/kubeconfig
  readOnly: true
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "flightline.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .values.scratch.tmp }}
- name: data
  emptyDir:
    sizeLimit: {{ .values.scratch.data }}
{{- include "flightline.vaultVolume" .root }}
{{- if and (eq .name "odm-gateway") .root.Values.argo.kubeconfig.secret }}
- name: kubeconfig
  secret:
    secretName: {{ .root.Values.argo.kubeconfig.secret }}
    defaultMode: 0440
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The token by which a pod logs in to Vault; nothing where it does not. */}}
{{- define "flightline.vaultVolume" -}}
{{- with .Values.vault }}
{{- if .role }}
- name: vault-token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .audience }}
          expirationSeconds: 600
{{- end }}
{{- end }}
{{- end -}}

{{- define "flightline.agentAnnotations" -}}
{{- with .Values.vaultAgent -}}
{{- if .role -}}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/agent-init-first: "true"
vault.hashicorp.com/agent-run-as-same-user: "true"
vault.hashicorp.com/role: {{ .role | quote }}
{{- range $name, $at := .secrets }}
vault.hashicorp.com/agent-inject-secret-{{ $name }}: {{ $at.path | quote }}
vault.hashicorp.com/agent-inject-template-{{ $name }}: {{ printf "{{- with secret \"%s\" -}}{{ .Data.data.%s }}{{- end -}}" $at.path $at.key | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "flightline.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
spec:
  selector:
    {{- include "flightline.componentSelector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .facts.port }}
      targetPort: http
      protocol: TCP
{{- end -}}

{{- define "flightline.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
  {{- with .values.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{- define "flightline.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
data:
  {{- include "flightline.serviceVariables" . | nindent 2 }}
{{- end -}}

{{- define "flightline.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "flightline.componentSelector" . | nindent 6 }}
{{- end -}}
