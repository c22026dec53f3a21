//! How bytes get to a site's http endpoints and voters.
//!
//! Above this line nothing knows whether there are sockets: a lab in the same process puts
//! its own wire here, and the clients stay the same.

use futures::future::BoxFuture;
use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// What went wrong on the way. An [`std::io::Error`] in its chain of sources says how.
pub type WireError = Box<dyn Error + Send + Sync>;

/// A way for requests.
pub trait Wire: Send + Sync {
    /// Sends one, and gives the answer's head; its body may still be on its way.
    fn send(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'static, Result<reqwest::Response, WireError>>;

    /// Whether anything listens there, without asking it anything.
    fn connect(&self, host: String, port: u16) -> BoxFuture<'static, std::io::Result<()>>;
}

/// Sockets of this machine.
pub(crate) struct Sockets(reqwest::Client);

impl Sockets {
    /// A client that asks whom it was told to ask: no proxy, no redirect, since a redirect
    /// would send the token to another host.
    pub(crate) fn wire(connect: Duration, ca: Option<&[u8]>) -> Result<Arc<dyn Wire>, String> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect)
            .pool_max_idle_per_host(2);
        if let Some(ca) = ca {
            let certificate =
                reqwest::Certificate::from_pem(ca).map_err(|e| format!("ca_file: {e}"))?;
            builder = builder.add_root_certificate(certificate);
        }
        Ok(Arc::new(Self(builder.build().map_err(|e| e.to_string())?)))
    }
}

impl Wire for Sockets {
    fn send(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'static, Result<reqwest::Response, WireError>> {
        let sent = self.0.execute(request);
        // An address may hold what is nobody's business.
        Box::pin(async { sent.await.map_err(|e| e.without_url().into()) })
    }

    fn connect(&self, host: String, port: u16) -> BoxFuture<'static, std::io::Result<()>> {
        Box::pin(async move { TcpStream::connect((host.as_str(), port)).await.map(drop) })
    }
}

/// Largest answer of a voter that is taken in: what is asked for is some KiB, and whatever else
/// answers at that address may have no end.
const LARGEST: usize = 4 << 20;

/// There is more of an answer than anybody asked for.
#[derive(Debug, thiserror::Error)]
#[error("the answer has more than {} MiB; is this Vault?", LARGEST >> 20)]
pub(crate) struct Endless;

/// An answer's body in one piece.
pub(crate) async fn whole(mut response: reqwest::Response) -> Result<Vec<u8>, WireError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > LARGEST {
            return Err(Endless.into());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The errors behind an error, itself first.
fn chain<'a>(e: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(e), |e: &&'a (dyn Error + 'static)| (*e).source())
}

/// An error of that kind is the cause.
pub(crate) fn caused_by(e: &(dyn Error + 'static), kind: ErrorKind) -> bool {
    chain(e).filter_map(|e| e.downcast_ref::<std::io::Error>()).any(|e| e.kind() == kind)
}

/// No connection came about.
pub(crate) fn unconnected(e: &(dyn Error + 'static)) -> bool {
    chain(e).filter_map(|e| e.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_connect)
}

/// A deadline passed.
pub(crate) fn timed_out(e: &(dyn Error + 'static)) -> bool {
    chain(e).filter_map(|e| e.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_timeout)
        || caused_by(e, ErrorKind::TimedOut)
}

/// The innermost cause in words: the outer ones only repeat the address.
pub(crate) fn root(e: &(dyn Error + 'static)) -> String {
    crate::text::clean_line(&chain(e).last().map(ToString::to_string).unwrap_or_default())
}
