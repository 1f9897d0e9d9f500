//! The command line as a person or a script uses it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::server::{Server, until};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster-simulator"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs `work` while the server of the test goes on.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn run(arguments: &[&str]) -> Output {
    let mut command = command(arguments);
    aside(move || command.output().unwrap()).await
}

/// A running command that does not outlive a failing test.
struct Running(Child);

impl Running {
    async fn end(mut self, signal: &'static str) -> Option<i32> {
        aside(move || {
            let id = self.0.id().to_string();
            assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
            self.0.wait().unwrap().code()
        })
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn one_cluster_joins_reports_once_and_leaves() {
    let server = Server::start().await;
    let home = tempfile::tempdir().unwrap();
    let (state, token) = (shown(home.path()), server.token("lyon-edge"));
    let join = ["join", token.text(), "--once", "--state-dir", state];
    let (code, out, err) = texts(&run(&join).await);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "lyon-edge joined\nlyon-edge reported\n", "")
    );
    let (code, out, err) = texts(&run(&join).await);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "lyon-edge has joined already; go on with fleet --state-dir\n");

    let leave = ["leave", "--state-dir", state, "lyon-edge"];
    let (code, out, err) = texts(&run(&leave).await);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "lyon-edge left\n", ""));
    let (code, _, err) = texts(&run(&leave).await);
    assert_eq!((code, err.as_str()), (1, "lyon-edge is not in the state directory\n"));
    let requests: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.head.lines().next().unwrap().to_owned())
        .filter(|line| !line.starts_with("GET / "))
        .collect();
    assert_eq!(
        requests,
        [
            "POST /1.0/remote-cluster HTTP/1.1",
            "POST /1.0/remote-cluster/status HTTP/1.1",
            "DELETE /1.0/remote-cluster HTTP/1.1"
        ]
    );
}

#[tokio::test]
async fn a_refused_leave_keeps_the_cluster_and_force_forgets_it() {
    let server = Server::answering(|seen| {
        let leave = seen.head.starts_with("DELETE");
        (if leave { "403 Forbidden" } else { "200 OK" }.into(), "Forbidden".into())
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let (state, token) = (shown(home.path()), server.token("lyon-edge"));
    run(&["join", token.text(), "--once", "--state-dir", state]).await;
    let (code, out, err) = texts(&run(&["leave", "--state-dir", state, "lyon-edge"]).await);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "Failed to send request to cluster manager: 403 Forbidden, body: Forbidden\n");
    let force = ["leave", "--force", "--state-dir", state, "lyon-edge"];
    assert_eq!(texts(&run(&force).await).0, 0);
    assert_eq!(server.count("DELETE"), 1);
    assert_eq!(texts(&run(&force).await).0, 1);
}

#[tokio::test]
async fn a_fleet_reads_tokens_from_stdin_reports_progress_and_goes_on_without_them() {
    let server = Server::start().await;
    let home = tempfile::tempdir().unwrap();
    let tokens = ["lyon-edge", "quito-lab", "oslo-core"]
        .map(|name| format!("{name} {}\n", server.token(name).text()))
        .concat();
    let fleet = ["fleet", "--state-dir", shown(home.path()), "--interval", "0.3"];
    let mut child = command(&[fleet.as_slice(), &["--tokens", "-", "--silent", "1"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(tokens.as_bytes()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = Running(child);
    let (progress, lines) = aside(move || {
        let progress: Vec<_> = lines.by_ref().take(3).map(Result::unwrap).collect();
        (progress, lines)
    })
    .await;
    assert_eq!(progress, ["joined 1 of 3", "joined 2 of 3", "joined 3 of 3"]);
    until("heartbeats arrive", || server.count("POST /1.0/remote-cluster/status ") >= 2).await;
    assert_eq!(running.end("-TERM").await, Some(0));
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert!(rest[0].starts_with("3 of 3 clusters joined, "), "{rest:?}");
    assert!(rest[0].ends_with(" heartbeats accepted, 0 failed"), "{rest:?}");

    let before = server.count("POST /1.0/remote-cluster/status ");
    let running = Running(command(&fleet).stdout(Stdio::null()).spawn().unwrap());
    let more = || server.count("POST /1.0/remote-cluster/status ") >= before + 3;
    until("heartbeats go on", more).await;
    assert_eq!(running.end("-INT").await, Some(0));
    assert_eq!(server.count("POST /1.0/remote-cluster "), 3);
}

#[tokio::test]
async fn mistakes_end_with_one_line_and_the_right_code() {
    let home = tempfile::tempdir().unwrap();
    let bad = home.path().join("tokens.txt");
    std::fs::write(&bad, "\nlyon-edge abc\nquito-lab\n").unwrap();
    let refused = format!("line 3 of {} is not of the form: name token\n", bad.display());
    let missing = home.path().join("missing");
    let unreadable = format!("cannot read the tokens from {}: ", missing.display());
    let empty = home.path().join("state");
    for (arguments, code, message) in [
        (vec!["join", "abc"], 1, "the join token is not valid base64: "),
        (vec!["fleet", "--tokens", shown(&bad)], 1, refused.as_str()),
        (vec!["fleet", "--tokens", shown(&missing)], 1, unreadable.as_str()),
        (
            vec!["fleet", "--state-dir", shown(&empty)],
            1,
            "there is no cluster to run: give tokens with --tokens\n",
        ),
        (vec!["fleet"], 2, "error: the following required arguments were not provided"),
        (vec!["fleet", "--tokens", "x", "--interval", "0"], 2, "error: invalid value '0'"),
        (vec!["fly"], 2, "error: unrecognized subcommand 'fly'"),
    ] {
        let (seen, out, err) = texts(&run(&arguments).await);
        assert_eq!((seen, out.as_str()), (code, ""), "{arguments:?}");
        assert!(err.starts_with(message), "{arguments:?}: {err}");
        assert!(code == 2 || err.lines().count() == 1, "{err}");
    }
}

#[tokio::test]
async fn a_fleet_with_more_failures_than_clusters_and_one_that_cannot_join_are_refused() {
    let server = Server::answering(|_| ("403 Forbidden".into(), "Forbidden".into())).await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tokens.txt");
    let token = server.token("lyon-edge");
    std::fs::write(&file, format!("lyon-edge {}\n", token.text())).unwrap();
    let fleet = ["fleet", "--tokens", shown(&file)];
    let (code, _, err) = texts(&run(&[fleet.as_slice(), &["--errors", "2"]].concat()).await);
    let message = "2 failures were asked for, but there are 1 clusters\n";
    assert_eq!((code, err.as_str()), (1, message));
    let (code, out, err) = texts(&run(&[fleet.as_slice(), &["--log", "error"]].concat()).await);
    assert_eq!(code, 1);
    assert_eq!(out, "0 of 1 clusters joined, 0 heartbeats accepted, 0 failed\n");
    assert_eq!(
        err,
        "1 of 1 clusters could not join; lyon-edge: Failed to send request to cluster manager: \
         403 Forbidden, body: Forbidden\n"
    );
}

#[tokio::test]
async fn names_are_printed_for_a_fleet() {
    let (code, out, err) = texts(&run(&["names", "3"]).await);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "lyon-edge\tEdge rack, Lyon\nquito-lab\tLaboratory, Quito\noslo-core\tData centre, Oslo\n"
    );
}
