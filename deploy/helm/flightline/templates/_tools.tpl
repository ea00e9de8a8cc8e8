{{/* Pods with the command `flightline`: all settings of the installation, and no service of their own. */}}

{{- define "flightline.toolVariables" -}}
{{- range $name, $value := merge (include "flightline.platformVariables" . | fromYaml) .Values.settings }}
{{ $name }}: {{ include "flightline.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* Specification of such a pod: takes root, name, command, args, resources and mounts (of more folders, as YAML). */}}
{{- define "flightline.toolPod" -}}
serviceAccountName: {{ include "flightline.fullname" .root }}-tools
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "flightline.podSecurity" . | nindent 2 }}
containers:
  - name: {{ .name }}
    image: {{ include "flightline.image" (dict "root" .root "image" "flightline") | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: {{ toJson .command }}
    {{- with .args }}
    args: {{ toJson . }}
    {{- end }}
    envFrom:
      - configMapRef:
          name: {{ include "flightline.fullname" .root }}-{{ .name }}
    {{- with include "flightline.secretEnv" (dict "root" .root) }}
    env:
      {{- . | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    securityContext:
      {{- include "flightline.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      - {name: data, mountPath: /data}
      {{- if .root.Values.vault.role }}
      - {name: vault-token, mountPath: /var/run/secrets/vault, readOnly: true}
      {{- end }}
      {{- with .mounts }}
      {{- . | nindent 6 }}
      {{- end }}
{{- end -}}

{{/* Volumes of such a pod: takes root. */}}
{{- define "flightline.toolVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
- name: data
  emptyDir: {sizeLimit: 1Gi}
{{- include "flightline.vaultVolume" .root }}
{{- end -}}
