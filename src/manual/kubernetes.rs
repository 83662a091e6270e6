//! In Kubernetes, and beside an ingress that is there.
//!
//! # Running it in Kubernetes
//!
//! `deploy/kubernetes` and `deploy/helm` hold to what follows; so should manifests of your own.
//!
//! SIGTERM closes the listeners after `drain`, which is at once. A pod is still sent requests until
//! every node has heard that it leaves, so `preStop` must sleep for some seconds before it (ten
//! there; Kubernetes 1.30 or later), or `drain` be as long, and `terminationGracePeriodSeconds`
//! must be longer than that sleep, `drain` and `grace`.
//! Probes come by the admin listener, which must be on `0.0.0.0` for them, and kept from others by
//! a network policy: it asks for no password. A liveness probe is `/livez`; with `/readyz` an
//! outage of a database would restart what cannot help it. The image has no shell: look with
//! `kubectl exec POD -- /tollgate ledger list /etc/tollgate/gateway.toml`, or
//! `kubectl debug --image`.
//!
//! The file system may be read-only but for the folder of a SQLite ledger. Such a ledger is on a
//! disk of one pod: one replica and the strategy `Recreate`, so each rollout is a short break. Many
//! replicas share PostgreSQL. A signer of our own belongs to one gateway: the strategy is
//! `Recreate` again, and several are several Deployments behind one Service. Limits count in
//! each gateway unless they are in Redis; `risk` always does.
//!
//! A changed ConfigMap is a new rollout, by its hash in the name or in an annotation: a pod that
//! does not like it never gets ready, and the old ones go on. `tollgate check` says so before. A
//! new pod knows no price of before, so payments signed for it are refused: where prices change
//! often, leave the hash away and set `watch = "on"`.
//!
//! `trusted_proxies` is the network of the Ingress controller's pods, without which all clients
//! share one limit; and a controller must not send a request again by itself. An upstream is the
//! name of a Service with an address: of a headless one only one pod is asked.
//!
//! In the API's own pod the gateway listens on the port that was the API's, and the API on
//! `127.0.0.1`, which nobody gets around. It must end after the gateway: its `preStop` sleeps for
//! as long as the gateway's, `drain` and `grace` together.
//!
//! # Prices in a ConfigMap of each team
//!
//! `include = "routes.d/*.toml"` above the first section of `gateway.toml` reads routes from
//! files of their own: `overlays/gateway-teams`, in the chart `teamRoutes`. In the pod such a
//! file is the key `routes.toml` of a team's ConfigMap, one more source of the volume that has
//! `gateway.toml`; a volume of its own inside that one cannot be mounted. Let a Role give each
//! team `get` and `update` on its ConfigMap alone, by `resourceNames`.
//!
//! Such a file holds `[[routes]]` and nothing else: a team says what is served at which price on
//! which of the networks, from an upstream that `gateway.toml` has. It cannot say who is paid,
//! what is connected to, or which secret is sent there. It can name any of these upstreams, and
//! any path: two routes of one shape are a mistake, but the longer one takes what is below
//! another team's `/*`. `openapi` is looked for beside the file, and nowhere above.
//!
//! With `watch = "on"` a change is taken over by gateways that run, once the kubelet has written
//! it, which takes up to two minutes and is not the same moment in each pod. In between gateways
//! tell different prices: `price_grace` of more than that has those who know take the old one
//! too, and a payment for the new one at a gateway that does not is refused with a 402, and not
//! moved. All files are taken over together or not at all: a mistake in one leaves everything as
//! it was, is named with its file in the log, and raises `tollgate_configuration_stale`. A pod
//! that starts with it does not get ready, so have `tollgate check` look at a change before it is
//! applied: the overlay's folder is laid out as the pod's.
//!
//! # Beside a proxy that forwards by itself
//!
//! Routes with `mode = "check"` are asked about at `[check]`. Keep that listener to the proxy: a
//! network policy besides `trusted_proxies`, which must name the proxy's addresses; `not_trusted`
//! (403) in the log says that it does not. 400 `bad_request` for everything means that `asked_by`
//! is another proxy, or that a header of the example is missing; the message names it. The proxy
//! must write the headers that name the request anew and never hand its client's on (Traefik:
//! `trustForwardHeader` stays off). Its own patience must be longer than a settlement takes: what
//! it does not wait for is settled all the same, and the payer has paid for nothing. Traefik waits
//! 30 s and cannot be told otherwise: `settle_timeout` and `verify_timeout` together must be less.
//!
//! In the log such a line has the method and path that were asked about, and as status what the
//! proxy was told: for nginx 401 in place of every refusal, whose name is the outcome, and then a
//! line for `/answer`, which it fetches. Of `ext_proc` it is what the client gets, as anywhere;
//! `message_timeout` there is Envoy's patience with a settlement, 200 ms if nothing is said. Where
//! every exchange ends as `client_gone`, Envoy does not tell of answers, and nobody has paid for
//! them: `response_header_mode` must be `SEND`, on each of its routes. When the gateway is away,
//! nothing passes: nginx and Traefik answer 500, Caddy 502, Envoy 403, by `ext_proc` 500; so take
//! two replicas and PostgreSQL.
//!
//! # Behind a proxy that only forwards
//!
//! HAProxy cannot ask: it forwards to the gateway, which forwards to the API, as
//! `deploy/examples/haproxy.cfg` has it. `trusted_proxies` names where it connects from, and it
//! must write `X-Forwarded-For` anew. Its `timeout server` is longer than `verify_timeout`, the
//! route's `timeout` and `settle_timeout` together: who is cut off there has paid, and gets the
//! kept answer with the same payment. It looks at `/readyz` of the admin listener, and `drain` is
//! longer than it takes to see a change there. Without a gateway that is ready it answers 503.
