//! The least a pingora proxy can be: every request to one upstream, nothing looked at.
//!
//! `bare_pingora LISTEN UPSTREAM`, on one thread. What tollgate's free route is measured against.

use std::error::Error;
use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

/// Where everything goes.
struct Bare(HttpPeer);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.0.clone()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "bare_pingora LISTEN UPSTREAM";
    let listen = arguments.next().ok_or(usage)?;
    let upstream: SocketAddr = arguments.next().ok_or(usage)?.parse()?;
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..Default::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let peer = HttpPeer::new(upstream, false, String::new());
    let mut service = http_proxy_service(&server.configuration, Bare(peer));
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever();
}
