//! The least a pingora proxy can be: every request to one upstream, nothing looked at.
//!
//! `bare_pingora LISTEN UPSTREAM`, on one thread. What tollgate's free route is measured against.
//! `bare_pingora LISTEN UPSTREAM HEADER BODY` answers every request itself, with a 402 that was
//! made before: the least that one costs behind pingora.

use std::error::Error;
use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

/// Where everything goes, or what everything is answered.
struct Bare {
    peer: HttpPeer,
    refusal: Option<(ResponseHeader, Bytes)>,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn request_filter(
        &self,
        session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora::Result<bool> {
        let Some((head, body)) = &self.refusal else { return Ok(false) };
        session.write_response_header_ref(head, false).await?;
        session.write_response_body(Some(body.clone()), true).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "bare_pingora LISTEN UPSTREAM [HEADER BODY]";
    let listen = arguments.next().ok_or(usage)?;
    let upstream: SocketAddr = arguments.next().ok_or(usage)?.parse()?;
    let refusal = arguments.next().zip(arguments.next());
    let refusal = refusal.map(|(header, body)| refusal_of(&header, body)).transpose()?;
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..Default::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let peer = HttpPeer::new(upstream, false, String::new());
    let bare = Bare { peer, refusal };
    let mut service = http_proxy_service(&server.configuration, bare);
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever();
}

/// A 402 with the headers of tollgate's.
fn refusal_of(header: &str, body: String) -> pingora::Result<(ResponseHeader, Bytes)> {
    let mut head = ResponseHeader::build_no_case(402, Some(8))?;
    head.insert_header("content-length", body.len())?;
    head.insert_header("content-type", "application/json")?;
    head.insert_header("cache-control", "no-store")?;
    head.insert_header("access-control-allow-origin", "*")?;
    head.insert_header("payment-required", header)?;
    Ok((head, body.into()))
}
