//! Commands in the container: begun by a request, with output over `WebSocket`.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::http::{self, Method, Request};
use super::{Pebble, PebbleError};

/// Most output of either stream that is kept, in bytes, unless a command says otherwise.
const MAX_OUTPUT: usize = 1024 * 1024;

/// A command to run, without a shell.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Take environment, user and folder from this service of the plan.
    pub service_context: Option<String>,
    /// Folder in which it runs. Without one Pebble takes that of the service, else the user's home, and refuses a home that is not
    /// there: in an image without homes say `/`.
    pub working_dir: Option<String>,
    /// More environment.
    pub environment: BTreeMap<String, String>,
    /// Longest time.
    pub timeout: Duration,
    /// Most output of either stream that is kept, in bytes; a command that gives more has failed.
    pub max_output: usize,
}

impl Default for Exec {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            service_context: None,
            working_dir: None,
            environment: BTreeMap::new(),
            timeout: Duration::ZERO,
            max_output: MAX_OUTPUT,
        }
    }
}

/// What a command did. Output may be secret, so that it is not shown.
#[derive(Debug)]
pub struct ExecOutput {
    /// 0 is success.
    pub exit_code: i64,
    /// Standard output.
    pub stdout: SecretString,
    /// Standard error.
    pub stderr: SecretString,
}

impl Pebble {
    /// Runs a command to its end. Standard input is empty.
    ///
    /// # Errors
    ///
    /// [`PebbleError`]; an exit code other than 0 is none.
    pub fn exec(&self, exec: &Exec) -> Result<ExecOutput, PebbleError> {
        let body = json!({
            "command": exec.command,
            "service-context": exec.service_context.as_deref().unwrap_or_default(),
            "working-dir": exec.working_dir.as_deref().unwrap_or_default(),
            "environment": exec.environment,
            "timeout": format!("{}ms", exec.timeout.as_millis()),
            "split-stderr": true,
        });
        let answer = self.request(&Request::json(Method::Post, "/v1/exec", &body))?;
        let (change, result) = answer.change_and_result()?;
        let task = result.get("task-id").and_then(Value::as_str).ok_or(PebbleError::Answer)?;
        let time = exec.timeout + Duration::from_secs(1);
        // Pebble starts the command when both streams are connected.
        let stdout = self.stream(task, "stdio", time)?;
        let stderr = self.stream(task, "stderr", time)?;
        // Both are read at once: a command that fills one must not wait for the other for ever.
        let (stdout, stderr) = std::thread::scope(|scope| {
            let stderr = scope.spawn(move || read(stderr, false, exec.max_output));
            let stdout = read(stdout, true, exec.max_output);
            (stdout, stderr.join().unwrap_or(Err(PebbleError::Answer)))
        });
        let change = self.wait(&change, time)?;
        let exit_code = change.exit_code().ok_or(PebbleError::Answer)?;
        Ok(ExecOutput { exit_code, stdout: text(stdout?), stderr: text(stderr?) })
    }

    fn stream(
        &self,
        task: &str,
        name: &str,
        time: Duration,
    ) -> Result<WebSocket<std::os::unix::net::UnixStream>, PebbleError> {
        let stream = http::connect(&self.socket, time)?;
        let address = format!("ws://pebble/v1/tasks/{task}/websocket/{name}");
        let (socket, _) = tungstenite::client(address, stream).map_err(|_| PebbleError::Answer)?;
        Ok(socket)
    }
}

/// Reads a stream to the end that the other side marks. The stream with standard output is also the
/// one for standard input, whose end must be marked even if there is none.
fn read(
    mut socket: WebSocket<std::os::unix::net::UnixStream>,
    has_input: bool,
    limit: usize,
) -> Result<Vec<u8>, PebbleError> {
    if has_input {
        let end = Message::text(r#"{"command":"end"}"#);
        socket.send(end).map_err(|_| PebbleError::Answer)?;
    }
    let mut output = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Binary(data)) => {
                if output.len() + data.len() > limit {
                    return Err(PebbleError::TooMuchOutput { limit });
                }
                output.extend_from_slice(&data);
            }
            // The only text is the mark of the end.
            Ok(Message::Text(_) | Message::Close(_)) => return Ok(output),
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => {
                return Ok(output);
            }
            Err(tungstenite::Error::Io(error)) => return Err(PebbleError::NotReady(error)),
            Err(_) => return Err(PebbleError::Answer),
        }
    }
}

fn text(bytes: Vec<u8>) -> SecretString {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
    }
}
