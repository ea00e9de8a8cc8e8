{{/* A small server for trying things out: takes root, name, image, user, command, args, env (YAML), port, more (ports),
     probe, data (mount path), more mounts, disk, init. One pod, one volume, no copy of anything. */}}
{{- define "flightline.devServer" -}}
{{- $fullname := printf "%s-%s" (include "flightline.fullname" .root) .name -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $fullname }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
spec:
  selector:
    {{- include "flightline.componentSelector" . | nindent 4 }}
  ports:
    {{- range .ports }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .port }}
      protocol: TCP
    {{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $fullname }}
  labels:
    {{- include "flightline.componentLabels" . | nindent 4 }}
spec:
  replicas: 1
  serviceName: {{ $fullname }}
  selector:
    matchLabels:
      {{- include "flightline.componentSelector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "flightline.componentLabels" . | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext:
        runAsNonRoot: true
        runAsUser: {{ .user }}
        runAsGroup: {{ .user }}
        fsGroup: {{ .user }}
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      {{- with .makesFolder }}
      initContainers:
        - name: folder
          image: {{ $.image | quote }}
          command: [mkdir, -p, {{ . | quote }}]
          resources:
            {{- toYaml $.root.Values.dev.resources | nindent 12 }}
          securityContext:
            {{- include "flightline.containerSecurity" $ | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: {{ $.data }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ .image | quote }}
          {{- with .args }}
          args: {{ toJson . }}
          {{- end }}
          env:
            {{- range $name, $value := .env }}
            - name: {{ $name }}
              value: {{ $value | quote }}
            {{- end }}
            {{- range $name, $key := .secretEnv }}
            - name: {{ $name }}
              valueFrom:
                secretKeyRef:
                  name: {{ $fullname }}
                  key: {{ $key }}
            {{- end }}
          ports:
            {{- range .ports }}
            - name: {{ .name }}
              containerPort: {{ .port }}
              protocol: TCP
            {{- end }}
          startupProbe:
            tcpSocket: {port: {{ (first .ports).name }}}
            periodSeconds: 3
            failureThreshold: 60
          readinessProbe:
            tcpSocket: {port: {{ (first .ports).name }}}
            periodSeconds: 5
          livenessProbe:
            tcpSocket: {port: {{ (first .ports).name }}}
            periodSeconds: 15
            failureThreshold: 6
          resources:
            {{- toYaml .root.Values.dev.resources | nindent 12 }}
          securityContext:
            {{- include "flightline.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: {{ .data }}
            {{- range .emptyFolders }}
            - name: empty
              mountPath: {{ . }}
              subPath: {{ trimPrefix "/" . | replace "/" "-" }}
            {{- end }}
      volumes:
        - name: empty
          emptyDir:
            sizeLimit: 1Gi
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .root.Values.dev.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .disk }}
{{- end -}}

{{- define "flightline.secretOf" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "flightline.fullname" .root }}-{{ .name }}
  labels:
    {{- include "flightline.labels" .root | nindent 4 }}
type: Opaque
stringData:
  {{- range $key, $value := .data }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
{{- end -}}
