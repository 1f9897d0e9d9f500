//! Receivers of remote write: one that takes everything, for what sending costs without what storing would cost, and broken ones.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::Error;

/// Starts it on a loopback port and returns the address to write to. It ends with the program.
pub(crate) async fn start() -> Result<String, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { drop(answer(stream).await) });
        }
    });
    Ok(format!("http://{address}/api/v1/write"))
}

/// One that takes connections and never answers.
pub(crate) async fn start_hanging() -> Result<String, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Ok(format!("http://{address}/api/v1/write"))
}

/// An address where nobody listens.
pub(crate) async fn nowhere() -> Result<String, Error> {
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    Ok(format!("http://{address}/api/v1/write"))
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = (&mut reader).take(length);
        tokio::io::copy_buf(&mut body, &mut tokio::io::sink()).await?;
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}
