//! Keys of what the gateway is: where it listens, what it keeps, where money moves.

use super::Default::{Is, Nothing, Required};
use super::Key;

/// In the order of the file.
pub(super) const KEYS: &[Key] = keys! {
    "" {
        "include": "path or pattern, or list of them", Nothing,
            "files with more `[[routes]]`, and nothing else; stands above the first section";
    }
    "[server]" {
        "listen": "address and port", Is(r#"`"127.0.0.1:8402"`"#),
            "where clients come; port 0 takes a free one";
        "admin": "address and port", Is(r#"`"127.0.0.1:9402"`"#),
            "where operators come: `/metrics`, `/livez`, `/readyz`, `/reload`, `/upgrade`";
        "public_url": "URL", Is("`listen`, if only this machine reaches it"),
            "what a 402 calls this gateway; never the client's `Host`";
        "trusted_proxies": "list of address blocks", Is("`[]`"),
            "whose `X-Forwarded-For` is believed";
        "drain": "time", Is(r#"`"0s"`"#),
            "how long connections are accepted after a stop; `/readyz` says `stopping` meanwhile";
        "grace": "time", Is(r#"`"30s"`"#),
            "how long running exchanges may go on after that";
        "threads": "number", Is("one per core"),
            "threads of the proxy";
        "access_log": r#"`"on"`, `"human"` or `"off"`"#, Is(r#"`"on"`"#),
            "one line on the standard output for each exchange: JSON, or for people";
        "header_bytes_max": "size", Is(r#"`"32KiB"`"#),
            "a request's line and headers";
        "body_bytes_max": "size", Is(r#"`"32MB"`"#),
            "a request's body where the route has no `body.max`";
        "connections_max": "number", Is("`10000`"),
            "client connections at once; fewer where the system allows too few open files, which \
             the log says";
        "keepalive": "time", Is(r#"`"60s"`"#),
            "how long an idle client connection is kept";
        "client_timeout": "time", Is(r#"`"30s"`"#),
            "the longest pause of a client within a request or an answer, and within which a \
             request's headers are here";
        "watch": r#"`"on"` or `"off"`"#, Is(r#"`"off"`"#),
            "whether the file and those that it names are looked at every few seconds, and \
             reloaded when one has changed";
        "price_grace": "time", Is(r#"`"60s"`"#),
            "how long payments for the price of before a reload are taken";
    }
    "[check]" {
        "listen": "address and port", Required,
            "where a proxy asks before it forwards what routes with `mode = \"check\"` are for";
        "asked_by": r#"`"nginx"`, `"traefik"`, `"caddy"`, `"envoy"`, `"envoy-ext-proc"`"#, Required,
            "which one: each names requests in its own way, and the last tells of answers too";
    }
    "[[bypass]]" {
        "name": "name", Required,
            "what the log calls those who need not pay";
        "keys": "list of `sha256:` and 64 hex digits", Is("any, or none"),
            "digests of the keys that let pass, sent as `X-Tollgate-Key`";
        "addresses": "list of address blocks", Is("all"),
            "from where; with `keys`, both are asked";
        "routes": "list of route names", Is("all"),
            "where; what is named by nothing else is named by its `match`";
    }
    "[block]" {
        "addresses": "list of address blocks", Is("`[]`"),
            "who is answered 403 before anything else";
        "payers": "list of addresses", Is("`[]`"),
            "whose payments are refused before a facilitator is asked";
        "addresses_file": "path", Nothing,
            "more of them, one to a line; what follows `#` is a comment";
        "payers_file": "path", Nothing,
            "the same for payers";
    }
    "[[certificates]]" {
        "chain": "path", Required,
            "PEM: the certificate and what vouches for it; with one of these, `listen` speaks TLS";
        "key": "path", Required,
            "PEM: its private key";
    }
    "[acme]" {
        "domains": "DNS name, or list of names", Required,
            "for which one certificate is ordered; with this section, `listen` speaks TLS";
        "terms": "`\"agreed\"`", Required,
            "consent to the authority's terms";
        "storage": "path", Required,
            "folder of the account, the certificate and its key; made where it is not there";
        "challenge": "`\"tls-alpn-01\"` or `\"http-01\"`", Is("`\"tls-alpn-01\"`"),
            "how the authority sees that the names lead here: at port 443, or at port 80";
        "http": "address and port", Nothing,
            "where requests without TLS come: they are sent to `https`, 308; needed by `http-01`";
        "contact": "address of e-mail, or list of them", Nothing,
            "whom the authority may write to; told when the account is made";
        "directory": "URL", Is("Let's Encrypt's"),
            "of another authority, or its stage for tests";
        "ca": "path", Is("whom the system trusts"),
            "PEM: who alone vouches for the directory's own certificate";
        "external_account.kid": "text", Nothing,
            "with the next: the account that you have with the authority, where it asks for one";
        "external_account.key": "secret", Nothing,
            "the key that it gave you, in base64url";
    }
    "[ledger]" {
        "url": "`sqlite://PATH`, `postgres://…` or `memory:`", Required,
            "a file for one gateway, a database for several; memory is for testnets only";
        "keep": r#"days or `"forever"`"#, Is(r#"`"400d"`"#),
            "how long a settled payment is kept, or while it could be sent; any other for a day";
    }
    "[answers]" {
        "max": r#"size or `"off"`"#, Is(r#"`"1MiB"`"#),
            "longest paid answer that is kept for its payer's return";
        "total": "size", Is(r#"`"256MiB"`"#),
            "all kept answers together; the oldest go first";
        "memory": "size", Is(r#"`"64MiB"`"#),
            "memory for answers while they are copied, written and given again";
        "age": "time", Is(r#"`"10m"`"#),
            "how long an answer is kept";
    }
    "[defaults]" {
        "refusals": r#"`"x402"` or `"assistant"`"#, Is(r#"`"x402"`"#),
            "of routes that do not say, and of what no route is for";
        "free": r#"limit or `"off"`"#, Is(r#"`"off"`"#),
            "of priced routes that do not say";
    }
    "[discovery]" {
        "serve": r#"`"unless-routed"`, `"always"` or `"off"`"#, Is(r#"`"unless-routed"`"#),
            "`/openapi.json`, `/.well-known/x402` and `/llms.txt`: where no route has the path, \
             or even there";
        "paywall": r#"`"on"` or `"off"`"#, Is(r#"`"on"`"#),
            "whether a browser that opens a paid URL gets a page where a wallet can pay";
        "title": "text", Is("the public URL's host"),
            "what the API is called in them";
        "description": "text", Is(r#"`""`"#),
            "what it is, in a few sentences";
    }
    "[traces]" {
        "endpoint": "URL", Required,
            "a collector of OpenTelemetry, by OTLP over HTTP; `/v1/traces` is put behind it";
        "headers.NAME": "secret", Nothing,
            "sent with each batch";
        "sample": "percent", Is(r#"`"100%"`"#),
            "how many traces are kept; the ids of the others go on all the same";
        "trusted_parents": "list of address blocks", Is("`[]`"),
            "callers whose `traceparent` says in place of `sample` whether a trace is kept: they \
             write it anew or take it off";
        "service": "name", Is(r#"`"tollgate"`"#),
            "what the gateway is called in them";
    }
    "[dashboard]" {
        "token": "secret", Nothing,
            "16 characters or more: who knows it sees the money at `/dashboard` of `admin`";
    }
    "[networks.NAME]" {
        "pay_to": "address", Required,
            "who is paid: hex, where mixed case must be its checksum, or base58 on Solana";
        "facilitator": "name, or list of names", Required,
            "who verifies and settles here; of several, the first that can be asked";
        "explorer": "URL", Is("built in"),
            "where people look a transaction up; its hash goes at the end";
        "chain_id": "number", Is("built in"),
            "of EIP-155; required unless NAME is built in, as the next four";
        "caip2": "`solana:` and 32 characters", Is("built in"),
            "of another Solana cluster; in the place of `chain_id` and `eip712`";
        "asset": "address", Is("built in: USDC"),
            "contract or mint of the stablecoin, a unit of which counts as a dollar";
        "decimals": "number", Is("built in"),
            "decimals of the asset";
        "eip712.name": "text", Is("built in"),
            "name of the asset's EIP-712 domain; a wrong one settles nothing";
        "eip712.version": "text", Is("built in"),
            "version of the same domain";
        "transfer_method": r#"`"eip3009"` or `"permit2"`"#, Is(r#"`"eip3009"`"#),
            "how the asset is moved: by itself, or by Permit2, which v1 clients cannot use";
        "gas_sponsoring": r#"`"eip2612"`"#, Nothing,
            "whoever settles pays for approvals of Permit2; the asset has EIP-2612";
        "rpc": "list of URLs or secrets", Is("`[]`"),
            "nodes by which the gateway looks up what the facilitator cannot tell";
        "v1_name": "name", Is("built in, or NAME"),
            "what x402 version 1 calls the network";
        "memo": "text", Nothing,
            "on Solana: what each payment must say, so that only one of a payer and block is taken";
        "worth": r#"`"mainnet"` or `"testnet"`"#, Is(r#"built in, or `"mainnet"`"#),
            "whether its money is real";
    }
    "[facilitators.NAME]" {
        "http": "table", Nothing,
            "a facilitator spoken to over HTTP; this, `chain` or `simulated`";
        "simulated": "table", Nothing,
            "no chain at all, for demos and tests; refuses mainnets";
        "chain": "table", Nothing,
            "our own signers on a chain";
    }
    "[facilitators.NAME.chain]" {
        "rpc": "list of URLs or secrets", Required,
            "nodes of the chain, the preferred first; of each only the host is ever shown";
        "signer": "secret, or `{ keystore = PATH, password = secret }`", Nothing,
            "who sends and pays for gas: 64 hex digits by `env` or `file`, or a keystore; on \
             Solana the fee payer, as `solana-keygen` writes it or in base58";
        "signers": "list of the same", Is("`[]`"),
            "several, that settle in parallel; not on Solana";
        "confirmations": "number", Is("Base and Solana `1`, Polygon `5`, else **required**"),
            "blocks that make a payment settled, its own counted; 0: before one is sealed. On \
             Solana 0 is `processed`, 1 to 31 `confirmed`, 32 `finalized`";
        "batch.window": "time", Is(r#"`"5ms"`"#),
            "how long a settlement waits for others to share a transaction; longer under load; \
             not on Solana";
        "batch.max": "number, 1 to 64", Is("`50`"),
            "settlements in one transaction; not on Solana";
        "gas.max": "number", Is("`500000`, Solana `100000`"),
            "gas for one payment, on Solana lamports for its transaction; more is refused";
        "gas.fee_max": "price of gas",
            Is("Base `\"5gwei\"`, Polygon `\"2000gwei\"`, else `\"200gwei\"`"),
            "the most that is offered for gas, its last ninth only to free a nonce that is held \
             up; beyond it nothing is sent; not on Solana";
        "gas.tip_max": "price of gas", Is("the same: `\"1gwei\"`, `\"500gwei\"`, `\"10gwei\"`"),
            "the most of it for who builds the block; not on Solana";
        "gas.low": "amount of the chain's coin",
            Is("the same: `\"0.0005\"`, `\"1\"`, `\"0.005\"`; Solana `\"0.01\"`"),
            "a signer with less is low; when all are, `/readyz` says so";
        "in_flight_max": "number", Is("`16`"),
            "transactions of one signer that are in no block yet; not on Solana";
        "rpc_timeout": "time", Is(r#"`"5s"`"#),
            "one question to one node";
        "settle_timeout": "time", Is(r#"`"60s"`"#),
            "a settlement; after it the outcome is unknown until the chain tells";
        "replace_after": "time", Is(r#"`"15s"`, Solana `"2s"`"#),
            "in no block by then, it is sent again, for an eighth more; on Solana as it is";
        "poll": "time", Is(r#"`"250ms"`, Solana `"400ms"`"#),
            "between two looks for a block, while there is something to wait for";
    }
    "[facilitators.NAME.http]" {
        "url": "URL", Required,
            "what `/verify`, `/settle` and `/supported` are put behind";
        "verify_timeout": "time", Is(r#"`"5s"`"#),
            "how long a verification may take";
        "settle_timeout": "time", Is(r#"`"60s"`"#),
            "how long a settlement may take";
        "in_flight_max": "number", Is("`1024`"),
            "verifications at once, and settlements at once";
        "headers.NAME": "secret", Nothing,
            "sent with each request";
        "auth": "table", Nothing,
            "how it knows who asks, where a fixed header is not enough";
    }
    "[facilitators.NAME.http.auth]" {
        "bearer": "secret", Nothing,
            "the token of `Authorization: Bearer`; this or `cdp`";
        "cdp.key_id": "secret", Nothing,
            "id of a secret API key of CDP; each request is signed with it";
        "cdp.key_secret": "secret", Nothing,
            "the same key: base64 for Ed25519, PEM for ES256";
    }
    "[facilitators.NAME.simulated]" {
        "balance": "price", Is(r#"`"$1000"`"#),
            "what every account holds at the start";
        "journal": "path", Nothing,
            "the file in which transfers outlive the process";
        "signatures": r#"`"checked"` or `"trusted"`"#, Is(r#"`"checked"`"#),
            "whether signatures are looked at once more";
        "delay.verify": "time", Is(r#"`"0s"`"#),
            "how long a verification takes";
        "delay.settle": "time", Is(r#"`"0s"`"#),
            "how long a settlement takes";
    }
};
