//! Test help: a responder on loopback that answers, holds or closes, request by request.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status code and a JSON body.
    Json(u16, serde_json::Value),
    /// A status code, headers (complete lines) and a body.
    Raw(u16, &'static str, String),
    /// Lines of a stream; then it ends, or stays open and silent.
    Lines(Vec<String>, Open),
    /// The same of pieces that are no text.
    Pieces(Vec<Vec<u8>>, Open),
    /// No answer, ever.
    Hold,
    /// The connection is closed without an answer.
    Close,
}

/// Whether a stream stays open behind its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Yes,
    No,
    For(std::time::Duration),
}

type Route = dyn Fn(&str, &str) -> Reply + Send + Sync;

/// A running responder; it ends with its runtime.
pub(crate) struct Responder {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Responder {
    /// `route` gets the method with path and query (`GET /v1/x?y`), and the headers in
    /// lower case with the body behind them.
    pub(crate) async fn start(route: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (route, log): (Arc<Route>, _) = (Arc::new(route), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&route), Arc::clone(&log)));
            }
        });
        Self { url, seen }
    }

    /// Requests so far, as `route` saw their first argument.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// An address where nothing listens.
    pub(crate) async fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }
}

async fn serve(socket: TcpStream, route: Arc<Route>, log: Arc<Mutex<Vec<String>>>) {
    let mut socket = BufReader::new(socket);
    loop {
        let mut first = String::new();
        if socket.read_line(&mut first).await.unwrap_or(0) == 0 {
            return;
        }
        let asked = first.rsplit_once(' ').map_or(first.as_str(), |(a, _)| a).to_owned();
        let mut rest = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            socket.read_line(&mut line).await.unwrap();
            let line = line.trim_end().to_lowercase();
            if let Some(n) = line.strip_prefix("content-length: ") {
                length = n.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
            rest.push_str(&line);
            rest.push('\n');
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        rest.push_str(&String::from_utf8_lossy(&body));
        log.lock().unwrap().push(asked.clone());
        if !answer(&mut socket, route(&asked, &rest)).await {
            return;
        }
    }
}

async fn answer(socket: &mut BufReader<TcpStream>, reply: Reply) -> bool {
    let (code, headers, body) = match reply {
        Reply::Json(code, body) => (code, "content-type: application/json\r\n", body.to_string()),
        Reply::Raw(code, headers, body) => (code, headers, body),
        Reply::Hold => std::future::pending().await,
        Reply::Close => return false,
        Reply::Lines(lines, open) => {
            let pieces = lines.into_iter().map(|line| (line + "\n").into_bytes()).collect();
            return stream(socket, pieces, open).await;
        }
        Reply::Pieces(pieces, open) => return stream(socket, pieces, open).await,
    };
    let text =
        format!("HTTP/1.1 {code} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    socket.get_mut().write_all(text.as_bytes()).await.is_ok()
}

async fn stream(socket: &mut BufReader<TcpStream>, pieces: Vec<Vec<u8>>, open: Open) -> bool {
    let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for piece in pieces {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    let socket = socket.get_mut();
    if socket.write_all(&bytes).await.is_err() {
        return false;
    }
    match open {
        Open::Yes => std::future::pending().await,
        Open::No => {}
        Open::For(time) => tokio::time::sleep(time).await,
    }
    socket.write_all(b"0\r\n\r\n").await.is_ok()
}
