{{/* What things are called, and the labels by which they are found. */}}

{{- define "flightline.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of what belongs to the release: takes the root. */}}
{{- define "flightline.labels" -}}
{{ include "flightline.selector" . }}
app.kubernetes.io/part-of: flightline
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "flightline.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of one service or backend: takes a dict with root and name. */}}
{{- define "flightline.componentLabels" -}}
{{ include "flightline.labels" .root }}
app.kubernetes.io/name: {{ .name }}
{{- end -}}

{{- define "flightline.componentSelector" -}}
{{ include "flightline.selector" .root }}
app.kubernetes.io/name: {{ .name }}
{{- end -}}

{{/* What the code says of the services: written by `make docs`, never by hand. */}}
{{- define "flightline.facts" -}}
{{ .Files.Get "files/facts.json" }}
{{- end -}}

{{/* The image of a service; a digest wins over the tag. Takes a dict with root and image (a service's name). */}}
{{- define "flightline.image" -}}
{{- $image := .root.Values.image -}}
{{- $digest := index $image.digests .image -}}
{{- if $digest -}}
{{- printf "%s/%s@%s" $image.registry .image $digest -}}
{{- else -}}
{{- printf "%s/%s:%s" $image.registry .image ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Text of an environment variable: YAML's numbers are floats here, and would be written as 1e+08. */}}
{{- define "flightline.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* Whole seconds of a duration such as 1h30m, 25s or 25; a part of a second counts as a whole one. */}}
{{- define "flightline.seconds" -}}
{{- $text := include "flightline.text" . -}}
{{- if regexMatch "^[0-9.]+$" $text -}}
{{- ceil (float64 $text) | int64 -}}
{{- else -}}
{{- $days := regexFind "[0-9]+d" $text | trimSuffix "d" | default "0" | int64 -}}
{{- $hours := regexFind "[0-9]+h" $text | trimSuffix "h" | default "0" | int64 -}}
{{- $minutes := regexFind "[0-9]+m" $text | trimSuffix "m" | default "0" | int64 -}}
{{- $seconds := regexFind "[0-9.]+s" $text | trimSuffix "s" | default "0" | float64 | ceil | int64 -}}
{{- add (mul 86400 $days) (mul 3600 $hours) (mul 60 $minutes) $seconds -}}
{{- end -}}
{{- end -}}

{{/* Restricted Pod Security, for every pod and container of ours. */}}
{{- define "flightline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "flightline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}
