{{/* deploy/argo/odm-standard.yaml with the names of this release: takes root, name and gpu. */}}
{{- define "flightline.workflowTemplate" -}}
{{- $root := .root -}}
{{- $argo := .root.Values.argo -}}
{{- $fullname := include "flightline.fullname" .root -}}
{{- $text := .root.Files.Get "files/odm-standard.yaml" -}}
{{- $text = replace "serviceAccountName: flightline-odm" (printf "serviceAccountName: %s-odm" $fullname) $text -}}
{{- $text = regexReplaceAll "configMapRef:\\n(\\s+)name: flightline-objects" $text (printf "configMapRef:\n${1}name: %s-odm-objects" $fullname) -}}
{{- $text = regexReplaceAll "secretRef:\\n(\\s+)name: flightline-objects" $text (printf "secretRef:\n${1}name: %s" (include "flightline.objectSecret" .root | default "none")) -}}
{{- $template := fromYaml $text -}}
{{- $spec := $template.spec -}}
{{- $_ := set $template "metadata" (dict "name" .name "namespace" ($argo.namespace | default .root.Release.Namespace) "labels" (include "flightline.labels" .root | fromYaml)) -}}
{{- range $spec.arguments.parameters -}}
{{- if eq .name "steps-image" -}}
{{- $_ := set . "value" (include "flightline.image" (dict "root" $root "image" "odm-gateway")) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $spec.podMetadata "labels" (merge $spec.podMetadata.labels (dict "app.kubernetes.io/instance" .root.Release.Name "app.kubernetes.io/name" "odm-job") $argo.podLabels) -}}
{{- with .root.Values.image.pullSecrets -}}
{{- $names := list -}}{{- range . -}}{{- $names = append $names (dict "name" .) -}}{{- end -}}
{{- $_ := set $spec "imagePullSecrets" $names -}}
{{- end -}}
{{- with $argo.nodeSelector -}}{{- $_ := set $spec "nodeSelector" . -}}{{- end -}}
{{- with $argo.tolerations -}}{{- $_ := set $spec "tolerations" . -}}{{- end -}}
{{- range $spec.templates -}}
{{- if eq .name "odm" -}}
{{- if $argo.strictCapacity -}}
{{- $_ := unset . "affinity" -}}
{{- $_ := set . "nodeSelector" (mergeOverwrite (dict) $argo.nodeSelector (dict "karpenter.sh/capacity-type" "{{=asInt(retries) >= 3 ? 'on-demand' : workflow.parameters.capacity}}")) -}}
{{- end -}}
{{- if $.gpu -}}
{{- $_ := set . "nodeSelector" (mergeOverwrite (dict) $argo.nodeSelector (.nodeSelector | default dict) $argo.gpu.nodeSelector) -}}
{{- $_ := set . "tolerations" (concat $argo.tolerations $argo.gpu.tolerations) -}}
{{- with $argo.gpu.runtimeClassName -}}
{{- $_ := set $spec "podSpecPatch" (toJson (dict "runtimeClassName" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml $template }}
{{- end -}}
