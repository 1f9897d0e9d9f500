//! What a hook tool and the controller say to each other: one JSON text each way.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};

use ops::Tool;
use ops::testing::MemoryTools;
use serde::{Deserialize, Serialize};

/// One call of a hook tool.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// `JUJU_CONTEXT_ID`.
    pub context: String,
    /// Name of the tool; empty ends the server.
    pub tool: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Standard input, where the tool reads it.
    pub input: Option<Vec<u8>>,
}

/// What the tool does then.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Exit code.
    pub code: u8,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

/// Sends `call` to the controller at `socket`.
///
/// # Errors
///
/// If it is not there.
pub fn exchange(socket: &str, call: &Call) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(&serde_json::to_vec(call)?)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}

/// Answers calls from `tools`, one at a time as Juju does, until one without a tool comes. At each call `look` may look at the
/// caller, which waits for the answer.
///
/// # Errors
///
/// If the socket fails.
pub fn serve(
    listener: &UnixListener,
    context: &str,
    tools: MemoryTools,
    mut look: impl FnMut(),
) -> io::Result<MemoryTools> {
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let call: Call = serde_json::from_slice(&bytes)?;
        if call.tool.is_empty() {
            break;
        }
        look();
        stream.write_all(&serde_json::to_vec(&answer(context, &tools, &call))?)?;
    }
    Ok(tools)
}

fn answer(context: &str, tools: &MemoryTools, call: &Call) -> Answer {
    let failed = |code, text: &str| Answer { code, stdout: Vec::new(), stderr: text.to_owned() };
    if call.context != context {
        return failed(1, "ERROR bad request: bad context\n");
    }
    let Some(tool) = Tool::named(&call.tool) else {
        return failed(1, "ERROR bad request: unknown command\n");
    };
    let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    match tools.run(tool, &args, call.input.as_deref()) {
        Ok(stdout) => Answer { code: 0, stdout, stderr: String::new() },
        // What is wrong with arguments ends with 2, what fails ends with 1.
        Err(text) if text.contains("for option -r") || text.contains("invalid status") => {
            failed(2, &text)
        }
        Err(text) => failed(1, &text),
    }
}
