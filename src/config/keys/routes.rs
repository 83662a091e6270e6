//! Keys of what it serves: how much is let through, the APIs behind it, and routes.

use super::Default::{Is, Nothing, Required};
use super::Key;

/// In the order of the file.
pub(super) const KEYS: &[Key] = keys! {
    "[limits]" {
        "unpaid": r#"limit or `"off"`"#, Is(r#"`{ rate = "30/min", by = "ip" }`"#),
            "requests without payment";
        "refused": r#"limit or `"off"`"#, Is(r#"`{ rate = "30/min", by = "ip" }`"#),
            "payments that were no good";
        "store": "`redis://…` or `rediss://…`, or a secret", Nothing,
            "a Redis in which gateways count together; a URL with a password is a secret";
        "timeout": "time", Is(r#"`"50ms"`"#),
            "how long it may take to answer before each gateway counts for itself";
        "replicas": "number", Is("`1`"),
            "how many gateways there are: each takes its part of a limit while it counts alone";
    }
    "[limits.class]" {
        "NAME.rate": "rate", Required,
            "how many paid requests, of routes with this class";
        "NAME.by": r#"`"payer"` or `"ip"`"#, Required,
            "whose requests count together";
    }
    "[upstreams.NAME]" {
        "url": "URL without a path", Nothing,
            "the API; this, `urls` or `bundled`. Each address of its name is a backend";
        "urls": "list of the same, up to 16", Nothing,
            "several servers that give the same answers";
        "bundled": r#"`"background-removal"`"#, Nothing,
            "a service of this binary, started and watched by the gateway";
        "balance": r#"`"round-robin"`, `"least-connections"`, `"hash-payer"` or `"hash-ip"`"#,
            Is(r#"`"round-robin"`"#),
            "which backend is next: each in turn, the one with the fewest requests under way, or \
             always the same for one payer (for one address where nobody pays), or one address";
        "health.path": "path", Is("a connection is enough"),
            "with the next four: each backend is asked for it, and gets requests while it says 2xx";
        "health.every": "time", Is(r#"`"5s"`"#),
            "between two looks";
        "health.timeout": "time", Is(r#"`"2s"`"#),
            "how long a look may take";
        "health.fails": "number", Is("`3`"),
            "failures in a row that take a backend out; the first look of all decides alone";
        "health.passes": "number", Is("`2`"),
            "successes in a row that take it back in";
        "tls.ca": "path", Is("whom the system trusts"),
            "of `https` URLs. PEM: who alone vouches for their certificates";
        "tls.certificate": "path", Nothing,
            "PEM: what is shown to servers that ask who comes, and what vouches for it";
        "tls.key": "path, or secret", Nothing,
            "PEM: its private key, by `env` or `file` too";
        "tls.server_name": "name", Is("the URL's host"),
            "the name that their certificates must have";
        "http": r#"`"1.1"` or `"2"`"#, Is(r#"`"1.1"`"#),
            "what is spoken to `url`; gRPC needs 2, WebSockets 1.1";
        "headers.NAME": "secret", Nothing,
            "set on each request";
        "connect_timeout": "time", Is(r#"`"5s"`"#),
            "until a connection stands";
        "answer_timeout": "time", Is(r#"`"60s"`"#),
            "from the request's last byte to the answer's first";
        "parallel": "number", Is("one per core; one with a `model` of more than 150 MB"),
            "of `bundled`: requests worked on at once";
        "queue": "number", Is("`16`"),
            "of `bundled`: requests that wait; one more is answered 503";
        "memory": "size", Is(r#"`"2000MB"`"#),
            "of `bundled`: for the requests worked on; they wait rather than take more";
        "deadline": "time", Is(r#"`"50s"`"#),
            "of `bundled`: from a request's last byte to its answer; less than a route's `timeout`";
        "model": "path", Nothing,
            "of `bundled`: an ONNX file in place of what is built in, its manifest beside it";
    }
    "[[routes]]" {
        "name": "name", Is("`match`"),
            "label in logs and metrics";
        "match": "methods, host and path", Required,
            "which requests: `POST /v1/images`, `GET,POST api.example.com/items/{id}`, `/docs/*`";
        "mode": r#"`"forward"` or `"check"`"#, Is(r#"`"forward"`"#),
            "who forwards: the gateway, or a proxy that asks at `[check]`; then without \
             `upstream`, `body`, `timeout`, `settle`, `risk`, `keep_answer`, `payment_identifier`";
        "upstream": "name", Required,
            "where they go; not with `mode = \"check\"`";
        "price": r#"price, `"free"`, or a table"#, Required,
            "what one costs; with `price_rules`, where none of them is met";
        "price.NAME": "price", Nothing,
            "what one costs on a network of the route, where it is not the same on all";
        "price_rules": "list of `[[routes.price_rules]]`", Is("`[]`"),
            "prices that depend on the request; the first that is met counts";
        "networks": "list of names", Is("required with a price"),
            "where it can be paid";
        "class": "name", Nothing,
            "the limit of its paid requests";
        "free": r#"limit or `"off"`"#, Is("`defaults.free`"),
            "requests that need no payment, such as `{ rate = \"10/day\", by = \"ip\" }`; then 402";
        "description": "text", Is(r#"`""`"#),
            "what clients read of it in the 402";
        "mime_type": "media type", Is(r#"`""`"#),
            "of its answer, in the 402";
        "body.types": "list of media types", Is("any"),
            "what a paid body may be, else 415";
        "body.max": "size", Is("`server.body_bytes_max`"),
            "how long it may be, else 413";
        "timeout": "time", Is("the upstream's `answer_timeout`"),
            "from the request's last byte to the answer's first, else 504";
        "settle": r#"`"after-upstream"` or `"before-upstream"`"#, Is(r#"`"after-upstream"`"#),
            "when money moves: once the upstream has answered well, or before it is asked";
        "risk": "amount", Nothing,
            "what one payer may owe on a network when answers go out before their money has \
             moved; by usage `max` where nothing is said";
        "keep_answer": r#"size or `"off"`"#, Is("`answers.max`"),
            "longest answer of this route that is kept for its payer's return";
        "payment_identifier": r#"`"optional"`, `"required"` or `"off"`"#,
            Is(r#"`"optional"` where answers are kept"#),
            "whether a client may name what it buys, and pays once for what has one name";
        "sign_in": "time, up to a year", Nothing,
            "how long who has paid is let in again by `sign-in-with-x`; one price, one method";
        "refusals": r#"`"x402"` or `"assistant"`"#, Is("`defaults.refusals`"),
            "in whose words it refuses: the protocol's, or those of the published assistant API";
        "openapi": "path", Nothing,
            "a document of OpenAPI 3, YAML or JSON, that paid requests must fit, else 400";
        "discovery": r#"`"on"` or `"off"`"#, Is(r#"`"on"`"#),
            "whether the documents for agents name this route";
    }
    "[routes.price]" {
        "max": "amount", Required,
            "with the next three: the most that an answer costs, which is what a payer signs";
        "rate": "amount", Required,
            "what so many units cost; what it comes to is rounded up, never above `max`";
        "per": "number of units", Required,
            "how many: `\"1k tokens\"`, `\"1M tokens\"`, `\"second\"`";
        "from": "names with points between", Required,
            "where the JSON of an answer, or of its events, says how many were used";
        "missing": r#"`"nothing"` or `"max"`"#, Is(r#"`"nothing"`"#),
            "what a whole answer costs that does not say it";
    }
    "[[routes.price_rules]]" {
        "method": "method", Nothing,
            "met by this method; one of these four";
        "query": "name", Nothing,
            "met where this part of the query is as `is` says";
        "header": "name", Nothing,
            "met where this header is";
        "body": "name, or names with points between", Nothing,
            "met where this field of the JSON body is: text, a whole number, true or false";
        "is": "text", Is("required but beside `method`"),
            "what it must be, letter by letter";
        "price": "price", Required,
            "what it costs then; or a table by networks, as a route's";
    }
};
