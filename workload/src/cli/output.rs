//! What a command prints and how it ends.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use super::Failure;

/// In which form a command prints its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For scripts: one JSON document
    Json,
}

/// How a command ended that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is well.
    Well,
    /// Done, and what was printed says what needs an operator's eye.
    Attention,
    /// The database cannot be taken over as it is; what was printed says why.
    Refused,
    /// The database is away; what was printed says so.
    Away,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Well => 0,
            Ending::Away => 1,
            Ending::Attention => 3,
            Ending::Refused => 4,
        })
    }
}

impl Format {
    /// Prints a result in this form.
    pub(super) fn print(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Table => print(text()),
            Self::Json => {
                let json = serde_json::to_string_pretty(value)
                    .map_err(|error| Failure::Output(error.into()))?;
                print(json + "\n")
            }
        }
    }
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no failure.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}
