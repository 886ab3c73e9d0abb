{{/* Names, labels and pieces that several templates share. */}}

{{- define "isobench.name" -}}
{{- if contains "isobench" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-isobench" .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{/* A name for what belongs to the whole cluster: two releases of one name in two namespaces must not meet. */}}
{{- define "isobench.clusterName" -}}
{{ .Release.Namespace }}-{{ include "isobench.name" . }}
{{- end -}}

{{- define "isobench.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/name: isobench
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Labels that select a component's pods: (list $ "operator"). */}}
{{- define "isobench.selector" -}}
app.kubernetes.io/name: isobench
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* An image by digest or tag: (list $ "worker"). */}}
{{- define "isobench.image" -}}
{{- $images := (first .).Values.images -}}
{{- $image := get $images (last .) -}}
{{- $name := $image.repository -}}
{{- if $images.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" $images.registry) $name }}{{ end -}}
{{- if $image.digest -}}{{ $name }}@{{ $image.digest }}
{{- else -}}{{ $name }}:{{ $images.tag | default (first .).Chart.AppVersion }}{{- end -}}
{{- end -}}

{{/* Namespaces with a Role each; none when ClusterRoles serve all. */}}
{{- define "isobench.tenantNames" -}}
{{- $names := list -}}
{{- range .Values.tenants }}{{ $names = append $names .namespace }}{{ end -}}
{{- if ne (len $names) (len (uniq $names)) }}{{ fail "tenants: a namespace is listed twice; give each team one entry" }}{{ end -}}
{{- if and (eq .Values.scope "tenants") (not $names) -}}
{{- fail "scope: tenants needs at least one entry in tenants, or nothing would be served; or set scope: cluster" -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- define "isobench.testNamespace" -}}
{{- $names := include "isobench.tenantNames" . | fromJsonArray -}}
{{- .Values.helmTest.namespace | default (first $names) | default .Release.Namespace -}}
{{- end -}}

{{/* Whether this release may write an object of a tenant's namespace: it is not there, or it is the release's. */}}
{{- define "isobench.ours" -}}
{{- $annotations := dig "metadata" "annotations" (dict) (last .) -}}
{{- $there := get $annotations "meta.helm.sh/release-name" | default "" -}}
{{- $where := get $annotations "meta.helm.sh/release-namespace" | default "" -}}
{{- if or (not (last .)) (and (eq $there (first .).Release.Name) (eq $where (first .).Release.Namespace)) }}yes{{ end -}}
{{- end -}}

{{- define "isobench.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "isobench.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "isobench.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The providers' files: the chart's own, and those of the values instead of or beside them. */}}
{{- define "isobench.providers" -}}
{{- $files := dict -}}
{{- range $path, $_ := .Files.Glob "files/providers/*.toml" }}{{ $_ := set $files (base $path) ($.Files.Get $path) }}{{ end -}}
{{- range $name, $text := .Values.providers }}{{ $_ := set $files (printf "main_%s.toml" $name) $text }}{{ end -}}
{{- toYaml $files -}}
{{- end -}}
