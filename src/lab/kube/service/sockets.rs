//! What flows over the websockets of exec and port-forward: binary messages, the first
//! byte says which channel.

use crate::lab::Lab;
use crate::lab::kube::api::{Exec, Forward};
use crate::lab::kube::console::{self, Ran};
use crate::lab::kube::ports;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
/// Says that the channel behind it is closed; version 5 only.
const CLOSE: u8 = 255;

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

/// A connection that did what it was for.
fn done() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}

/// Runs a command and tells what it said.
pub async fn exec(
    lab: &Lab,
    mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>,
    exec: Exec,
) {
    let key = exec.key;
    let ran = lab.with(|world| match world.store.get(&key) {
        Some(pod) => console::exec(world, &pod, &exec.container, &exec.argv),
        None => Ran { stderr: "the pod is gone\n".into(), exit: 1, ..Ran::default() },
    });
    for (channel, text) in [(STDOUT, &ran.stdout), (STDERR, &ran.stderr)] {
        if !text.is_empty() && socket.send(message(channel, text.as_bytes())).await.is_err() {
            return;
        }
    }
    let status = ended(ran.exit).to_string();
    // Whoever does not wait for the end does not want it.
    let _ = socket.send(message(STATUS, status.as_bytes())).await;
    let _ = socket.close(Some(done())).await;
    while let Some(Ok(_)) = socket.next().await {}
}

fn ended(exit: i32) -> Value {
    if exit == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {exit}"),
        "details": {"causes": [{"reason": "ExitCode", "message": exit.to_string()}]},
    })
}

/// Connects ports of a pod: two channels each, data and errors.
pub async fn forward(
    lab: &Lab,
    socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>,
    forward: Forward,
) {
    let (mut out, mut inward) = socket.split();
    let (sender, mut to_client) = channel::<Message>(16);
    let mut tasks = tokio::task::JoinSet::new();
    let mut writers: Vec<Option<Sender<Bytes>>> = Vec::new();
    for (i, port) in forward.ports.iter().enumerate() {
        let Ok(data) = u8::try_from(i * 2) else { break };
        // Each channel begins with its port.
        for channel in [data, data + 1] {
            if out.send(message(channel, &port.to_le_bytes())).await.is_err() {
                return;
            }
        }
        match ports::dial(lab, &forward.key, *port) {
            Ok(stream) => {
                let (read, write) = tokio::io::split(stream);
                let (to_pod, from_client) = channel::<Bytes>(16);
                tasks.spawn(from_pod(data, read, sender.clone()));
                tasks.spawn(into_pod(write, from_client));
                writers.push(Some(to_pod));
            }
            Err(why) => {
                if out.send(message(data + 1, why.as_bytes())).await.is_err() {
                    return;
                }
                writers.push(None);
            }
        }
    }
    drop(sender);
    loop {
        tokio::select! {
            biased;
            said = inward.next() => match said {
                Some(Ok(Message::Binary(bytes))) => take(&mut writers, &bytes).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            message = to_client.recv() => match message {
                Some(message) => if out.send(message).await.is_err() { return },
                // Every pod's side has closed: so does the whole.
                None => { let _ = out.send(Message::Close(Some(done()))).await; return }
            },
        }
    }
}

async fn take(writers: &mut [Option<Sender<Bytes>>], bytes: &Bytes) {
    let Some((channel, data)) = bytes.split_first() else { return };
    if *channel == CLOSE {
        if let Some(writer) = data.first().and_then(|c| writers.get_mut(usize::from(*c) / 2)) {
            *writer = None;
        }
        return;
    }
    if let Some(Some(writer)) = writers.get(usize::from(*channel) / 2) {
        // A pod that no longer reads loses what is sent.
        let _ = writer.send(bytes.slice(1..)).await;
    }
}

async fn from_pod(channel: u8, mut pod: ReadHalf<DuplexStream>, client: Sender<Message>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n @ 1..) = pod.read(&mut buffer).await {
        if client.send(message(channel, &buffer[..n])).await.is_err() {
            return;
        }
    }
}

async fn into_pod(mut pod: WriteHalf<DuplexStream>, mut client: Receiver<Bytes>) {
    while let Some(bytes) = client.recv().await {
        if pod.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _ = pod.shutdown().await;
}
