{{/* What a schema cannot say. Each fault is a sentence that names the remedy; all are told together. */}}
{{- define "flightline.validate" -}}
{{- $faults := list -}}
{{- $facts := include "flightline.facts" . | fromJson -}}
{{- $given := merge (dict) .Values.secrets .Values.dev.secrets .Values.vaultAgent.secrets -}}
{{- if not (hasKey $given "FLIGHTLINE_TOKEN") -}}
{{- $faults = append $faults "the services need a token that callers must carry: name its secret in secrets.FLIGHTLINE_TOKEN, such as {name: flightline}, or have vaultAgent.secrets bring it" -}}
{{- end -}}
{{- range $name, $values := .Values.services -}}
{{- $scaling := (index $facts.services $name).scaling | default dict -}}
{{- with $values.autoscaling -}}
{{- if and (eq .by "queue") (not $scaling.queue) -}}
{{- $faults = append $faults (printf "nothing that waits tells how many %s are needed: set services.%s.autoscaling.by to processor or none" $name $name) -}}
{{- end -}}
{{- if gt (int .min) (int .max) -}}
{{- $faults = append $faults (printf "services.%s.autoscaling.min is above its max: lower it" $name) -}}
{{- end -}}
{{- if and (eq .by "processor") (eq (int .min) 0) -}}
{{- $faults = append $faults (printf "services.%s.autoscaling.min must be 1 or more: only a queue can wake a service that has no pod" $name) -}}
{{- end -}}
{{- if and (eq .by "queue") $values.enabled (eq $.Values.rabbitmq.mode "external") (not (and $.Values.rabbitmq.external.management.url $.Values.rabbitmq.external.management.secret.name)) -}}
{{- $faults = append $faults (printf "KEDA asks RabbitMQ's management API how much waits for %s: set rabbitmq.external.management.url and .secret.name" $name) -}}
{{- end -}}
{{- if and (eq .by "queue") $values.enabled $scaling.documents (eq $.Values.mongodb.mode "external") (not $.Values.mongodb.external.secret.name) -}}
{{- $faults = append $faults (printf "KEDA asks MongoDB how much waits for %s, and takes its URL from a secret: set mongodb.external.secret.name" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $values.hostname (not $.Values.httpRoute.enabled) (not $.Values.ingress.enabled) -}}
{{- $faults = append $faults (printf "services.%s.hostname leads nowhere: set httpRoute.enabled or ingress.enabled" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- $faults = append $faults "routes need a Gateway: name it in httpRoute.parentRefs, such as [{name: gateway, namespace: gateways}]" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled .Values.ingress.enabled -}}
{{- $faults = append $faults "httpRoute and ingress would both claim the same hostnames: enable one of them" -}}
{{- end -}}
{{- range $backend, $variable := dict "rabbitmq" "FLIGHTLINE_BUS" "mongodb" "FLIGHTLINE_STATE" -}}
{{- $values := index $.Values $backend -}}
{{- if and (eq $values.mode "external") (not $values.external.url) (not $values.external.secret.name) (not (hasKey $given $variable)) -}}
{{- $faults = append $faults (printf "%s is external, but nothing says where: set %s.external.secret.name, or have vaultAgent.secrets bring %s" $backend $backend $variable) -}}
{{- end -}}
{{- if and (eq $values.mode "external") $values.external.url $values.external.secret.name -}}
{{- $faults = append $faults (printf "%s.external.url and .secret.name say the same thing twice: set one" $backend) -}}
{{- end -}}
{{- if regexMatch "//[^/@]*:[^/@]*@" $values.external.url -}}
{{- $faults = append $faults (printf "%s.external.url holds a password, which everybody who may read values would see: put the URL into a secret and name it in %s.external.secret" $backend $backend) -}}
{{- end -}}
{{- if and (eq $values.mode "dev") (not $values.dev.password) -}}
{{- $faults = append $faults (printf "the dev server of %s needs a password: set %s.dev.password" $backend $backend) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.mongodb.mode "operator") (not .Values.mongodb.operator.passwordSecret) -}}
{{- $faults = append $faults "MongoDB's operator takes the password from a secret with the key password: name it in mongodb.operator.passwordSecret" -}}
{{- end -}}
{{- if and (eq .Values.objects.mode "external") (not .Values.objects.external.url) -}}
{{- $faults = append $faults "objects are external, but nothing says where: set objects.external.url, such as s3://bucket/prefix" -}}
{{- end -}}
{{- if and (eq .Values.objects.mode "dev") (not .Values.objects.dev.secretKey) -}}
{{- $faults = append $faults "the dev S3 server needs a key: set objects.dev.secretKey" -}}
{{- end -}}
{{- if and .Values.argo.enabled (not (index .Values.services "odm-gateway").enabled) -}}
{{- $faults = append $faults "argo.enabled is of no use without services.odm-gateway.enabled: enable both or neither" -}}
{{- end -}}
{{- if and .Values.argo.gpu.enabled (not .Values.argo.enabled) -}}
{{- $faults = append $faults "GPUs are used by workflows: set argo.enabled, or argo.gpu.enabled to false" -}}
{{- end -}}
{{- $gateway := (index .Values.services "odm-gateway").settings -}}
{{- if and .Values.argo.gpu.enabled (not (hasKey $gateway "ODM_GATEWAY_ARGO_GPU_IMAGE")) -}}
{{- $faults = append $faults "nothing uses a GPU without an image for it: set services.odm-gateway.settings.ODM_GATEWAY_ARGO_GPU_IMAGE" -}}
{{- end -}}
{{- if and (hasKey $gateway "ODM_GATEWAY_ARGO_CONTEXTS") (not .Values.argo.kubeconfig.secret) -}}
{{- $faults = append $faults "ODM_GATEWAY_ARGO_CONTEXTS names contexts of a kubeconfig: name its secret in argo.kubeconfig.secret" -}}
{{- end -}}
{{- if and (hasKey .Values.settings "FLIGHTLINE_TAPIS_URL") (not (hasKey $given "FLIGHTLINE_INTERNAL_TOKEN")) -}}
{{- $faults = append $faults "ingest asks discovery for users' logins, by a token of the services: name its secret in secrets.FLIGHTLINE_INTERNAL_TOKEN" -}}
{{- end -}}
{{- if and (hasKey .Values.settings "FLIGHTLINE_TAPIS_CLIENT_ID") (not (hasKey $given "FLIGHTLINE_SECRETS_KEY")) -}}
{{- $faults = append $faults "users' logins are sealed with a key: name its secret, 32 random characters or more, in secrets.FLIGHTLINE_SECRETS_KEY" -}}
{{- end -}}
{{- range $name, $_ := .Values.secrets -}}
{{- if hasKey $.Values.dev.secrets $name -}}
{{- $faults = append $faults (printf "%s is in secrets and in dev.secrets: keep one" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.vaultAgent.secrets (not .Values.vaultAgent.role) -}}
{{- $faults = append $faults "Vault's agent logs in by a role: set vaultAgent.role" -}}
{{- end -}}
{{- range $name, $_ := .Values.vaultAgent.secrets -}}
{{- if or (hasKey $.Values.secrets $name) (hasKey $.Values.dev.secrets $name) -}}
{{- $faults = append $faults (printf "%s comes from vaultAgent.secrets and from another secret: keep one" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.externalSecrets.enabled (not .Values.externalSecrets.store.name) -}}
{{- $faults = append $faults "external secrets come from a store: name it in externalSecrets.store.name" -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThe values cannot be used:\n  - %s\n" (join "\n  - " $faults)) -}}
{{- end -}}
{{- end -}}
