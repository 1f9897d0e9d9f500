//! HTTP and `WebSocket` for the fake container.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::container::Container;

type Shared = Arc<Mutex<Container>>;

pub(super) fn serve(
    socket: &Path,
    container: &Shared,
    stopping: &Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    let listener = UnixListener::bind(socket)?;
    let (container, stopping) = (Arc::clone(container), Arc::clone(stopping));
    Ok(std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if stopping.load(Ordering::SeqCst) {
                return;
            }
            let container = Arc::clone(&container);
            // A client that goes away is no concern of the server's.
            std::thread::spawn(move || drop(handle(stream, &container)));
        }
    }))
}

struct Head {
    method: String,
    path: String,
    kind: String,
    length: usize,
    websocket_key: Option<String>,
}

fn handle(stream: UnixStream, container: &Shared) -> io::Result<()> {
    if container.lock().unwrap_or_else(PoisonError::into_inner).down {
        return Ok(());
    }
    let mut from = BufReader::new(stream.try_clone()?);
    let head = read_head(&mut from)?;
    let mut body = vec![0; head.length];
    from.read_exact(&mut body)?;
    if let Some(key) = &head.websocket_key {
        return stream_output(stream, &head.path, key, container);
    }
    let (status, kind, body) = container.lock().unwrap_or_else(PoisonError::into_inner).answer(
        &head.method,
        &head.path,
        &head.kind,
        &body,
    );
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

fn read_head(from: &mut impl BufRead) -> io::Result<Head> {
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        from.read_until(b'\n', &mut bytes)?;
        match bytes.get(start..) {
            Some(b"\r\n") => break,
            Some([]) | None => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(_) => {}
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&bytes).map_err(io::Error::other)?;
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    Ok(Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        kind: header("Content-Type").unwrap_or_default(),
        length: header("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0),
        websocket_key: header("Sec-WebSocket-Key"),
    })
}

/// `/v1/tasks/<task>/websocket/<stream>`: the output of a command, then the mark of the end.
fn stream_output(
    mut stream: UnixStream,
    path: &str,
    key: &str,
    container: &Shared,
) -> io::Result<()> {
    let mut parts = path.trim_start_matches("/v1/tasks/").split('/');
    let task = parts.next().and_then(|task| task.parse::<usize>().ok());
    let output = {
        let container = container.lock().unwrap_or_else(PoisonError::into_inner);
        let task =
            task.and_then(|task| container.tasks.get(task)).ok_or(io::ErrorKind::NotFound)?;
        if parts.next_back() == Some("stderr") { task.2.clone() } else { task.1.clone() }
    };
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    let end = Message::text(r#"{"command":"end"}"#);
    for message in [Message::binary(output.into_bytes()), end] {
        socket.send(message).map_err(io::Error::other)?;
    }
    // Until the client goes: it may still send the end of its input.
    while socket.read().is_ok() {}
    Ok(())
}
