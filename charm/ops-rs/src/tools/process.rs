//! The real hook tools: programs that Juju puts into the charm's `PATH`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::{HookTools, Tool, ToolError};

/// Starts hook tools as processes, without a shell.
#[derive(Debug, Clone, Default)]
pub struct ProcessTools {
    folder: Option<PathBuf>,
}

impl ProcessTools {
    /// Tools are looked up in `PATH`, as Juju sets it.
    #[must_use]
    pub fn from_path() -> Self {
        Self { folder: None }
    }

    /// Tools are taken from `folder`.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder: Some(folder) }
    }

    fn run(&self, tool: Tool, args: &[&str], input: Option<&[u8]>) -> io::Result<Output> {
        let program = match &self.folder {
            Some(folder) => folder.join(tool.name()),
            None => PathBuf::from(tool.name()),
        };
        let mut child = Command::new(program)
            .args(args)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipe = child.stdin.take();
        // Written by a thread of its own: a tool that talks before it has read everything must not
        // make both sides wait for each other.
        std::thread::scope(|scope| {
            let writer = pipe.zip(input).map(|(mut pipe, input)| {
                scope.spawn(move || match pipe.write_all(input) {
                    // The tool gave up early; its exit code says why.
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    done => done,
                })
            });
            let output = child.wait_with_output()?;
            match writer.map(std::thread::ScopedJoinHandle::join) {
                Some(Ok(Err(error))) => Err(error),
                Some(Err(_)) => Err(io::Error::other("writing to the tool panicked")),
                Some(Ok(Ok(()))) | None => Ok(output),
            }
        })
    }
}

impl HookTools for ProcessTools {
    fn call(&self, tool: Tool, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, ToolError> {
        let output =
            self.run(tool, args, input).map_err(|source| ToolError::Run { tool, source })?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(ToolError::from_stderr(tool, &String::from_utf8_lossy(&output.stderr)))
        }
    }
}
