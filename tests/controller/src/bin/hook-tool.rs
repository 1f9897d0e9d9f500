//! All hook tools in one program, told apart by the name that it is called by. Each call goes to the
//! controller that the environment names, as Juju's tools go to the agent.

use std::io::{Read, Write};
use std::process::ExitCode;

use controller::wire::{Answer, Call, exchange};

fn main() -> ExitCode {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    let tool = name.rsplit('/').next().unwrap_or_default().to_owned();
    let args: Vec<String> = args.collect();
    let mut input = None;
    // Only a tool that is told to read its standard input does so.
    if args.windows(2).any(|pair| pair == ["--file", "-"]) {
        let mut bytes = Vec::new();
        if std::io::stdin().read_to_end(&mut bytes).is_err() {
            return ExitCode::from(1);
        }
        input = Some(bytes);
    }
    #[expect(clippy::disallowed_methods, reason = "Juju's tools find their agent so")]
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let context = variable("JUJU_CONTEXT_ID");
    let call = Call { context, tool, args, input };
    match exchange(&variable("JUJU_AGENT_SOCKET_ADDRESS"), &call) {
        Ok(Answer { code, stdout, stderr }) => {
            let written = std::io::stdout().write_all(&stdout);
            eprint!("{stderr}");
            if written.is_ok() { ExitCode::from(code) } else { ExitCode::from(1) }
        }
        Err(error) => {
            eprintln!("ERROR connection to the agent: {error}");
            ExitCode::from(1)
        }
    }
}
