//! Log records, collected and sent in few `juju-log` calls: each call is a process.

use std::cell::RefCell;

use crate::tools::{HookTools, unit_calls};

/// Longest text that one call carries, in bytes: an argument may not be longer than 128 KiB.
const MAX_TEXT: usize = 100 * 1024;

/// Most records that one dispatch keeps; what comes after is counted, not kept.
const MAX_RECORDS: usize = 1000;

/// Juju's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Why something happens.
    Debug,
    /// What happens.
    Info,
    /// What may become a failure.
    Warning,
    /// Failures.
    Error,
}

impl Level {
    /// The word that `juju-log` takes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// The records of one dispatch.
#[derive(Debug, Default)]
pub struct Log(RefCell<Records>);

#[derive(Debug, Default)]
struct Records {
    kept: Vec<(Level, String)>,
    dropped: usize,
}

impl Log {
    /// Adds a record. Never put a secret into it.
    pub fn add(&self, level: Level, text: impl Into<String>) {
        let mut records = self.0.borrow_mut();
        if records.kept.len() < MAX_RECORDS {
            records.kept.push((level, text.into()));
        } else {
            records.dropped += 1;
        }
    }

    /// Sends everything: one call for each run of records with the same level. A log that cannot be
    /// written must not fail a hook, so failures are dropped.
    pub fn flush(&self, tools: &dyn HookTools) {
        let Records { mut kept, dropped } = self.0.take();
        if dropped > 0 {
            kept.push((Level::Warning, format!("{dropped} more log records were dropped")));
        }
        let mut run: Option<(Level, String)> = None;
        for (level, text) in kept {
            match &mut run {
                Some((same, lines)) if *same == level && lines.len() + text.len() < MAX_TEXT => {
                    lines.push('\n');
                    lines.push_str(&text);
                }
                _ => {
                    send(tools, run.replace((level, text)));
                }
            }
        }
        send(tools, run);
    }
}

fn send(tools: &dyn HookTools, run: Option<(Level, String)>) {
    let Some((level, mut text)) = run else { return };
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    let _ = unit_calls::juju_log(tools, level, &text);
}
