{{- define "tollgate.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "tollgate.selector" -}}
app.kubernetes.io/name: tollgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "tollgate.workerSelector" -}}
app.kubernetes.io/name: tollgate-worker
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: worker
{{- end }}

{{- define "tollgate.common" -}}
app.kubernetes.io/part-of: tollgate
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "tollgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tollgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{- /* Several gateways, or one. */}}
{{- define "tollgate.several" -}}
{{- if and (eq .Values.ledger.kind "postgres") (gt (int .Values.replicas.max) 1) }}yes{{ end }}
{{- end }}

{{- /* gateway.toml as a table, in JSON. */}}
{{- define "tollgate.toml" -}}
{{- $toml := fromToml (required "there is no gateway.toml: --set-file config=gateway.toml" .Values.config) }}
{{- if hasKey $toml "Error" }}
{{- fail (printf "gateway.toml is not TOML: %s" (get $toml "Error")) }}
{{- end }}
{{- toJson $toml }}
{{- end }}

{{- /* The gateway signs and sends transactions with a key of its own. */}}
{{- define "tollgate.ownSigner" -}}
{{- range dig "facilitators" dict (include "tollgate.toml" . | fromJson) }}
{{- if hasKey . "chain" }}yes{{ end }}
{{- end }}
{{- end }}

{{- /* A proxy asks before it forwards. */}}
{{- define "tollgate.asked" -}}
{{- if hasKey (include "tollgate.toml" . | fromJson) "check" }}yes{{ end }}
{{- end }}

{{- /* `[server] drain` and `grace` together in seconds, as gateway.toml has them. */}}
{{- define "tollgate.stops" -}}
{{- $server := dig "server" dict (include "tollgate.toml" . | fromJson) }}
{{- $seconds := 0 }}
{{- range $key, $usual := dict "drain" "0s" "grace" "30s" }}
{{- $length := dig $key $usual $server }}
{{- if not (regexMatch `^[0-9]+ *s$` $length) }}
{{- fail (printf "write `%s` in whole seconds, such as \"30s\": the pod's own grace period follows it" $key) }}
{{- end }}
{{- $seconds = add $seconds (regexFind `^[0-9]+` $length) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- /* What would go wrong later is said now. */}}
{{- define "tollgate.validate" -}}
{{- $config := include "tollgate.toml" . | fromJson }}
{{- $ledger := dig "ledger" "url" "" $config }}
{{- $sqlite := hasPrefix "sqlite://" $ledger }}
{{- $postgres := regexMatch `^postgres(ql)?://` $ledger }}
{{- if and (eq .Values.ledger.kind "sqlite") (not $sqlite) }}
{{- fail "ledger.kind is sqlite: write url = \"sqlite:///data/tollgate.db\" under [ledger], or set ledger.kind=postgres" }}
{{- end }}
{{- if and (eq .Values.ledger.kind "postgres") (not $postgres) }}
{{- fail "ledger.kind is postgres: write url = \"postgres://USER@HOST/DB?sslmode=verify-full\" under [ledger]" }}
{{- end }}
{{- if and $sqlite (not (hasPrefix "sqlite:///data/" $ledger)) }}
{{- fail "a ledger outside /data is lost with its pod: write url = \"sqlite:///data/tollgate.db\"" }}
{{- end }}
{{- if and (include "tollgate.ownSigner" .) (include "tollgate.several" .) }}
{{- fail "two gateways with one signer take each other's nonces: set replicas.min=1 and replicas.max=1, and install a release for each signer" }}
{{- end }}
{{- if and (not .Values.rolloutOnChange) (ne (dig "server" "watch" "off" $config) "on") }}
{{- fail "without rolloutOnChange nobody reads a changed configuration: write watch = \"on\" under [server]" }}
{{- end }}
{{- if and .Values.teamRoutes (not (hasKey $config "include")) }}
{{- fail "nobody reads the routes of teams: write include = \"routes.d/*.toml\" above the first section" }}
{{- end }}
{{- if and .Values.teamRoutes (ne (dig "server" "watch" "off" $config) "on") }}
{{- fail "nobody reads what a team has changed: write watch = \"on\" under [server]" }}
{{- end }}
{{- if gt (int .Values.replicas.min) (int .Values.replicas.max) }}
{{- fail "replicas.min is above replicas.max" }}
{{- end }}
{{- if and (include "tollgate.asked" .) (ne (dig "check" "listen" "" $config) "0.0.0.0:8403") }}
{{- fail "write listen = \"0.0.0.0:8403\" under [check]: the proxy comes by a Service" }}
{{- end }}
{{- range $key, $address := dict "listen" "0.0.0.0:8402" "admin" "0.0.0.0:9402" }}
{{- if ne (dig "server" $key "" $config) $address }}
{{- fail (printf "write %s = %q under [server]: Service and probes come by there" $key $address) }}
{{- end }}
{{- end }}
{{- end }}
