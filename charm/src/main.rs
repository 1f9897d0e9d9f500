//! The charm's `dispatch` program, started by Juju.

use std::error::Error;
use std::process::ExitCode;

use ops::{Dispatch, ProcessTools};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Juju's log takes standard error as warnings of this unit.
            eprintln!("{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let dispatch = Dispatch::from_env()?;
    charm::run(&ProcessTools::from_path(), &dispatch)?;
    Ok(())
}

/// An error with its sources on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
