{{/* Labels. Each takes (list $ COMPONENT). "old" and "new" are the official chart's two sets, the old one selects. */}}

{{- define "lab.labels.old" -}}
component: {{ index . 1 }}
app: {{ (index . 0).Chart.Name }}
release: {{ (index . 0).Release.Name }}
{{- end }}

{{- define "lab.labels.new" -}}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{- define "lab.labels" -}}
{{- $chart := (index . 0).Chart -}}
{{- $version := printf "%s-%s" $chart.Name (replace "+" "_" $chart.Version) -}}
{{ include "lab.labels.old" . }}
chart: {{ $version }}
heritage: {{ (index . 0).Release.Service }}
{{ include "lab.labels.new" . }}
helm.sh/chart: {{ $version }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{- end }}

{{/* A line "KEY: value" with the value as YAML below it, or nothing for an empty one: (list KEY VALUE). */}}
{{- define "lab.field" -}}
{{- with index . 1 }}{{ dict (index $ 0) . | toYaml }}{{ end }}
{{- end }}

{{/* imagePullSecrets of a pod from the chart-wide ones and its image's, names or {name: NAME}: (list $ IMAGE). */}}
{{- define "lab.pullSecrets" -}}
{{- $secrets := list }}
{{- range concat (index . 1).pullSecrets (index . 0).Values.imagePullSecrets | uniq }}
  {{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- include "lab.field" (list "imagePullSecrets" $secrets) }}
{{- end }}

{{/* Where hub and proxy may run: (list $ EXTRA_TOLERATIONS NODE_SELECTOR). */}}
{{- define "lab.corePlacement" -}}
{{- $core := (index . 0).Values.scheduling.corePods }}
{{- $purpose := $core.nodeAffinity.matchNodePurpose }}
{{- $core_node := dict "matchExpressions" (list (dict
      "key" "hub.jupyter.org/node-purpose" "operator" "In" "values" (list "core"))) }}
{{- $affinity := dict }}
{{- if eq $purpose "require" }}
  {{- $affinity = dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" (list $core_node)) }}
{{- else if eq $purpose "prefer" }}
  {{- $affinity = dict "preferredDuringSchedulingIgnoredDuringExecution"
        (list (dict "weight" 100 "preference" $core_node)) }}
{{- end }}
{{- $placement := dict }}
{{- with $affinity }}{{ $_ := set $placement "affinity" (dict "nodeAffinity" .) }}{{ end }}
{{- with concat $core.tolerations (index . 1) }}{{ $_ := set $placement "tolerations" . }}{{ end }}
{{- with index . 2 }}{{ $_ := set $placement "nodeSelector" . }}{{ end }}
{{- with $placement }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* Environment entries from a list (as it is) or a map of NAME: string or NAME: entry: (list PATH_FOR_MESSAGES ENV). */}}
{{- define "lab.env" -}}
{{- $path := index . 0 }}
{{- $env := index . 1 }}
{{- $entries := list }}
{{- if kindIs "slice" $env }}
  {{- $entries = $env }}
{{- else }}
  {{- range $name, $value := $env }}
    {{- if kindIs "string" $value }}
      {{- $entries = append $entries (dict "name" $name "value" $value) }}
    {{- else if kindIs "map" $value }}
      {{- $entries = append $entries (merge (dict) $value (dict "name" $name)) }}
    {{- else }}
      {{- fail (printf "%s.%s is a %s; give a string (quote it) or an entry with value or valueFrom"
            $path $name (kindOf $value)) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- with $entries }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* A probe that asks over http: (list VALUES PATH). */}}
{{- define "lab.probe" -}}
{{- omit (index . 0) "enabled" | merge (dict "httpGet" (dict "path" (index . 1) "port" "http")) | toYaml }}
{{- end }}

{{/* extraFiles as a Secret's data: (list PATH_FOR_MESSAGES FILES). */}}
{{- define "lab.files" -}}
{{- $path := index . 0 }}
{{- $data := dict }}
{{- range $key, $file := index . 1 }}
  {{- $where := printf "%s.%s" $path $key }}
  {{- if not $file.mountPath }}{{ fail (printf "%s has no mountPath" $where) }}{{ end }}
  {{- if ne 1 (len (compact (list $file.stringData $file.binaryData $file.data))) }}
    {{- fail (printf "%s needs exactly one of stringData, binaryData, data" $where) }}
  {{- end }}
  {{- $content := "" }}
  {{- if $file.binaryData }}
    {{- $_ := set $data $key (nospace $file.binaryData) }}
  {{- else }}
    {{- $suffix := ext $file.mountPath }}
    {{- if $file.stringData }}{{ $content = $file.stringData }}
    {{- else if has $suffix (list ".yaml" ".yml") }}{{ $content = toYaml $file.data }}
    {{- else if eq $suffix ".json" }}{{ $content = toJson $file.data }}
    {{- else if eq $suffix ".toml" }}{{ $content = toToml $file.data }}
    {{- else }}{{ fail (printf "%s has data, so its mountPath must end in .yaml, .yml, .json or .toml" $where) }}
    {{- end }}
    {{- $_ := set $data $key (regexReplaceAll "\n*$" $content "\n" | b64enc) }}
  {{- end }}
{{- end }}
{{- with $data }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* A secret value, base64: what was given, else what the hub's Secret holds since the first install, else a new one:
     (list $ KEY GIVEN). */}}
{{- define "lab.secret" -}}
{{- $root := index . 0 }}
{{- $kept := dig "data" (index . 1) "" (lookup "v1" "Secret" $root.Release.Namespace "hub") }}
{{- (index . 2) | default "" | b64enc | default $kept | default (randAlphaNum 64 | sha256sum | b64enc) }}
{{- end }}

{{- define "lab.authToken" -}}
{{- dig "ConfigurableHTTPProxy" "auth_token" "" .Values.hub.config | default .Values.proxy.secretToken | default "" }}
{{- end }}

{{- define "lab.serviceAccount" -}}
{{- .Values.hub.serviceAccount.name | default (.Values.hub.serviceAccount.create | ternary "hub" "default") }}
{{- end }}

{{- define "lab.hubUrl" -}}
http://hub:8081
{{- end }}
