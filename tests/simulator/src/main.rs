//! Command line of the simulator: a fleet, one cluster, leaving, and names for a fleet.

#![allow(clippy::doc_markdown, reason = "MicroCloud is the name of a product, not of an item")]

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let command_line = cli::CommandLine::parse();
    cli::start_logging(command_line.log.as_str());
    match cli::run(command_line).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // The one line goes to stderr by itself, not as a log line with a time before it.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{e}\n"));
            ExitCode::FAILURE
        }
    }
}
