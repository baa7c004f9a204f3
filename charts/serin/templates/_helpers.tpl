{{- define "serin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What the names of objects begin with; 13 letters are left for what follows. */}}
{{- define "serin.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of cluster-wide objects: two installations may have one name in two namespaces. */}}
{{- define "serin.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "serin.fullname" .) -}}
{{- end -}}

{{- define "serin.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "serin.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "serin.selector" -}}
app.kubernetes.io/name: {{ include "serin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "serin.labels" -}}
{{ include "serin.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: serin
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "serin.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The Service whose addresses Ingresses show, as NAMESPACE/NAME. */}}
{{- define "serin.published" -}}
{{- default (printf "%s/%s" .Release.Namespace (include "serin.fullname" .)) .Values.publishService -}}
{{- end -}}

{{/* The Secrets that have a right of their own, as NAMESPACE/NAME with commas between: those that are named, and the default certificate where no
other right has it. */}}
{{- define "serin.secrets" -}}
{{- $names := .Values.secretNames -}}
{{- with .Values.defaultTlsSecret -}}
{{- if or $names (and $.Values.watchNamespaces (not (has (dir .) $.Values.watchNamespaces))) -}}
{{- $names = append $names . | uniq -}}
{{- end -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* The options of `serin controller` that values have, each by its own name. */}}
{{- define "serin.arguments" -}}
- controller
- --http={{ .Values.listen }}:8080
- --https={{ .Values.listen }}:8443
- --admin={{ .Values.listen }}:9901
{{- with .Values.watchNamespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
{{- if .Values.secretNames }}
- --secret-names={{ include "serin.secrets" . }}
{{- end }}
{{- with .Values.ingressClass }}
- --ingress-class={{ join "," . }}
{{- end }}
{{- if .Values.publishAddress }}
- --publish-address={{ join "," .Values.publishAddress }}
{{- else }}
- --publish-service={{ include "serin.published" . }}
{{- end }}
- --peers-service={{ .Release.Namespace }}/{{ include "serin.fullname" . }}-admin
{{- with .Values.countersAllow }}
- --counters-allow={{ join "," . }}
{{- end }}
{{- with .Values.defaultTlsSecret }}
- --default-tls-secret={{ . }}
{{- end }}
{{- if .Values.httpsRedirect }}
- --https-redirect
{{- end }}
- --https-port={{ default .Values.service.httpsPort .Values.httpsPort | int }}
{{- if not (kindIs "invalid" .Values.hsts) }}
- --hsts={{ .Values.hsts | int }}
{{- end }}
{{- if .Values.http2PriorKnowledge }}
- --http2-prior-knowledge
{{- end }}
{{- with .Values.trustedProxies }}
- --trusted-proxies={{ join "," . }}
- --client-ip-from={{ $.Values.clientIpFrom }}
{{- end }}
{{- with .Values.workers }}
- --workers={{ . | int }}
{{- end }}
- --log-format={{ .Values.logFormat }}
- --access-log={{ .Values.accessLog }}
{{- if .Values.decisionHeader }}
- --decision-header
{{- end }}
- --propagation-seconds={{ .Values.propagationSeconds | int }}
- --grace-seconds={{ .Values.graceSeconds | int }}
{{- with .Values.allowExternalHosts }}
- --allow-external-hosts={{ join "," . }}
{{- end }}
{{- with .Values.outboundAllow }}
- --outbound-allow={{ join "," . }}
{{- end }}
{{- with .Values.dnsServers }}
- --dns-servers={{ join "," . }}
{{- end }}
{{- with .Values.upstreamCa }}
- --upstream-ca={{ . }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What the chart refuses beyond its schema. */}}
{{- define "serin.checked" -}}
{{- if and (or .Values.hostPorts.http .Values.hostPorts.https) (ne .Values.kind "DaemonSet") -}}
{{- fail "hostPorts is for kind DaemonSet: two replicas on one node cannot have the same port" -}}
{{- end -}}
{{- if and .Values.publishService .Values.publishAddress -}}
{{- fail "publishService and publishAddress exclude each other" -}}
{{- end -}}
{{- if and (ne .Values.clientIpFrom "xff") (not .Values.trustedProxies) -}}
{{- fail "clientIpFrom is for trustedProxies: say with it whose word is believed" -}}
{{- end -}}
{{- end -}}
