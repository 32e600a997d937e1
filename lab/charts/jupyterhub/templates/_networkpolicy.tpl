{{/* A NetworkPolicy like the official chart's. Takes a dict:
       root, name, component (the pods it is for), values (their networkPolicy section),
       access: list of {port, label}: pods labelled hub.jupyter.org/network-access-LABEL reach that port,
       reach: list of {component, ports}: what these pods always reach. */}}
{{- define "lab.networkPolicy" -}}
{{- if .values.enabled }}
{{- $root := .root }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  labels:
    {{- include "lab.labels" (list $root .name) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "lab.labels.old" (list $root .component) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with .values.allowedIngressPorts }}
    - ports:
        {{- range . }}
        - port: {{ . }}
        {{- end }}
    {{- end }}
    {{- $everywhere := eq .values.interNamespaceAccessLabels "accept" }}
    {{- range .access }}
    {{- $label := printf "hub.jupyter.org/network-access-%s: \"true\"" .label }}
    - ports:
        - port: {{ .port }}
      from:
        - podSelector:
            matchLabels:
              {{ $label }}
          {{- if $everywhere }}
          namespaceSelector: {}
        - namespaceSelector:
            matchLabels:
              {{ $label }}
          {{- end }}
    {{- end }}
    {{- with .values.ingress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    {{- range .reach }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "lab.labels.old" (list $root .component) | nindent 14 }}
      ports:
        {{- range .ports }}
        - port: {{ . }}
        {{- end }}
    {{- end }}
    {{- with include "lab.egress" (list $root .values) | fromYamlArray }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{/* Egress rules from the egressAllowRules switches and the rules of the site's own: (list $ NETWORK_POLICY). */}}
{{- define "lab.egress" -}}
{{- $allow := (index . 1).egressAllowRules }}
{{- $metadata := printf "%s/32" (index . 0).Values.singleuser.cloudMetadata.ip }}
{{- $private := list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" }}
{{- $private_blocks := list }}
{{- range $private }}{{ $private_blocks = append $private_blocks (dict "ipBlock" (dict "cidr" .)) }}{{ end }}
{{- $metadata_block := list (dict "ipBlock" (dict "cidr" $metadata)) }}

{{- $dns := list }}
{{- if $allow.dnsPortsCloudMetadataServer }}{{ $dns = concat $dns $metadata_block }}{{ end }}
{{- if $allow.dnsPortsKubeSystemNamespace }}
  {{- $dns = append $dns (dict "namespaceSelector" (dict
        "matchLabels" (dict "kubernetes.io/metadata.name" "kube-system"))) }}
{{- end }}
{{- if $allow.dnsPortsPrivateIPs }}{{ $dns = concat $dns $private_blocks }}{{ end }}

{{- $rules := list }}
{{- with $dns }}
  {{- $rules = append $rules (dict "to" . "ports"
        (list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP"))) }}
{{- end }}
{{- if $allow.nonPrivateIPs }}
  {{- $rules = append $rules (dict "to" (list (dict "ipBlock" (dict
        "cidr" "0.0.0.0/0" "except" (append $private $metadata))))) }}
{{- end }}
{{- if $allow.privateIPs }}{{ $rules = append $rules (dict "to" $private_blocks) }}{{ end }}
{{- if $allow.cloudMetadataServer }}{{ $rules = append $rules (dict "to" $metadata_block) }}{{ end }}
{{- concat $rules (index . 1).egress | toYaml }}
{{- end }}
