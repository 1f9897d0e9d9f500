//! Actions that the workload's program does: the charm starts it in the container and passes on what it says.

use std::time::Duration;

use ops::pebble::{Exec, ExecOutput, Pebble, ServiceInfo};
use ops::{CharmError, Model};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ROTATE_CONNECTOR_CERTIFICATE;
use crate::observe::Inputs;
use crate::{CONTAINER, pinned, workload};

/// Longest time for a command that asks the database a few questions.
const COMMAND: Duration = Duration::from_secs(30);

/// Longest time for a takeover: it copies whole tables.
const LONG_COMMAND: Duration = Duration::from_mins(15);

/// Most output of a command that is read: all there is about 10,000 clusters.
const MOST_OUTPUT: usize = 64 * 1024 * 1024;

/// Longest result: Juju passes a result as one argument of a program, which may have 128 KiB.
const LONGEST_RESULT: usize = 96 * 1024;

/// Exit status of `takeover`: done, and the report says what needs attention.
const ATTENTION: i64 = 3;

/// Exit status of `takeover`: nothing can be taken over, and the report says why.
const REFUSED: i64 = 4;

/// What a list of clusters has of each.
const OF_A_CLUSTER: [&str; 6] = [
    "name",
    "state",
    "member_count",
    "last_heartbeat_at",
    "certificate_fingerprint",
    "certificate_not_after",
];

#[derive(Deserialize)]
struct Enroll {
    cluster: String,
}

/// Makes a join token.
pub(super) fn enroll(model: &Model<'_>, inputs: &Inputs) -> Result<(), CharmError> {
    let Enroll { cluster } = model.action_parameters()?;
    if !is_cluster_name(&cluster) {
        return Err(
            "the name of a cluster has 1 to 63 letters, digits, '-', '_' and '.', and begins \
                    and ends with a letter or a digit"
                .into(),
        );
    }
    // The service knows the fingerprint that goes into the token: without it there is no token.
    let state = inputs.container.as_ref().ok_or("the workload container is not ready")?;
    let serves = |name: &str| {
        let found = state.services.iter().find(|service| service.name == name);
        found.is_some_and(ServiceInfo::is_active)
    };
    if !serves(workload::MANAGEMENT) || !serves(workload::CONNECTOR) {
        let app = &inputs.app;
        return Err(
            format!("the services are not running; to see why, run: juju status {app}").into()
        );
    }
    if let Some(name) = pinned::unnamed(inputs) {
        return Err(format!(
            "the certificate that clusters pin does not name {name}, so that no cluster could join with a token; run: juju run \
             {}/leader {ROTATE_CONNECTOR_CERTIFICATE}",
            inputs.app
        )
        .into());
    }
    let output = run(inputs, &["enroll", &cluster], COMMAND)?;
    let token = text_of(&output, &[])?.trim().to_owned();
    if token.is_empty() {
        return Err("the program in the workload gave no token".into());
    }
    let token = SecretString::from(token);
    let note = format!(
        "This token is shown once. On the cluster, run: microcloud cluster-manager join <token>. It \
         enrols {cluster} and nothing else."
    );
    Ok(model.set_action_results(&[("token", token.expose_secret()), ("note", &note)])?)
}

/// The rule for new names that the services have; checked here as well, so that no other text gets
/// near a command line.
fn is_cluster_name(name: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=63).contains(&name.len())
        && name.starts_with(ends)
        && name.ends_with(ends)
        && name.chars().all(inner)
}

/// In which form a result is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
}

#[derive(Deserialize)]
struct ListClusters {
    #[serde(default)]
    format: Format,
}

/// Lists the enrolled clusters, as many as a result can hold.
pub(super) fn list_clusters(model: &Model<'_>, inputs: &Inputs) -> Result<(), CharmError> {
    let ListClusters { format } = model.action_parameters()?;
    configured(inputs)?;
    let (list, shown, count) = match format {
        Format::Json => {
            let all = enrolled(inputs)?;
            let lines: Vec<String> = all.iter().map(|cluster| brief(cluster).to_string()).collect();
            let shown = fitting(lines.iter().map(String::as_str));
            (
                format!("[{}]", lines.into_iter().take(shown).collect::<Vec<_>>().join(",")),
                shown,
                all.len(),
            )
        }
        Format::Table => {
            let output = run(inputs, &["clusters"], COMMAND)?;
            let text = text_of(&output, &[])?;
            let lines: Vec<&str> = text.lines().collect();
            let shown = fitting(lines.iter().copied());
            let table = lines.get(..shown).unwrap_or_default().join("\n");
            // The first line has the headings, or says that there is none.
            (table, shown.saturating_sub(1), lines.len().saturating_sub(1))
        }
    };
    let count = count.to_string();
    let mut results = vec![("count", count.as_str()), ("clusters", &list)];
    let note = format!(
        "These are the first {shown}: a result of an action can hold no more. The web page has them all."
    );
    if shown.to_string() != count {
        results.push(("note", &note));
    }
    Ok(model.set_action_results(&results)?)
}

/// Everything that the program tells about each enrolled cluster.
pub(super) fn enrolled(inputs: &Inputs) -> Result<Vec<Map<String, Value>>, CharmError> {
    configured(inputs)?;
    let output = run(inputs, &["clusters", "--format", "json"], COMMAND)?;
    let list = serde_json::from_str(text_of(&output, &[])?);
    Ok(list.map_err(|_| "the program in the workload gave no list of clusters")?)
}

fn brief(cluster: &Map<String, Value>) -> Value {
    let known = |key: &&str| Some(((*key).to_owned(), cluster.get(*key)?.clone()));
    Value::Object(OF_A_CLUSTER.iter().filter_map(known).collect())
}

/// How many of `parts`, joined by one byte each, fit into a result.
pub(super) fn fitting<'a>(parts: impl Iterator<Item = &'a str>) -> usize {
    let ends = parts.scan(0, |length, part| {
        *length += part.len() + 1;
        Some(*length)
    });
    ends.take_while(|end| *end <= LONGEST_RESULT).count()
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Takeover {
    #[serde(default)]
    apply: bool,
    #[serde(default)]
    accept_newer: bool,
    #[serde(default)]
    format: Format,
}

/// Looks at what the earlier product left in the database, or takes it over. That works while the
/// services do not run: a database that cannot be taken over may be the reason.
pub(super) fn takeover(model: &Model<'_>, inputs: &Inputs) -> Result<(), CharmError> {
    let Takeover { apply, accept_newer, format } = model.action_parameters()?;
    configured(inputs)?;
    let mut args = vec!["takeover", if apply { "--apply" } else { "--check" }];
    if accept_newer {
        args.push("--accept-newer");
    }
    if format == Format::Json {
        args.extend(["--format", "json"]);
    }
    let output = run(inputs, &args, LONG_COMMAND)?;
    let text = text_of(&output, &[ATTENTION, REFUSED])?;
    // The document is printed over many lines for people.
    let compact = serde_json::from_str::<Value>(text).map(|report| report.to_string());
    let report = compact.as_deref().unwrap_or(text).trim_end();
    let lines: Vec<&str> = report.lines().collect();
    let shown = fitting(lines.iter().copied());
    let report = if shown == lines.len() {
        report.to_owned()
    } else if format == Format::Json {
        return Err("the report is too long for a result of an action: ask for format=table".into());
    } else {
        let more = lines.len() - shown;
        format!(
            "{}\nThere are {more} more lines.",
            lines.get(..shown).unwrap_or_default().join("\n")
        )
    };
    let outcome = match output.exit_code {
        ATTENTION => "needs attention",
        REFUSED => "refused",
        _ => "good",
    };
    model.set_action_results(&[("outcome", outcome), ("report", &report)])?;
    if output.exit_code == REFUSED {
        return Err(
            "nothing can be taken over as it is, and nothing was changed; the report says why"
                .into(),
        );
    }
    Ok(())
}

/// Whether the services have settings; they need not run.
fn configured(inputs: &Inputs) -> Result<(), CharmError> {
    let state = inputs.container.as_ref().ok_or("the workload container is not ready")?;
    let services = state.plan.get("services").and_then(|all| all.get(workload::MANAGEMENT));
    if services.is_some_and(|service| service.get("environment").is_some()) {
        return Ok(());
    }
    let app = &inputs.app;
    Err(format!("the services have no settings yet; to see why, run: juju status {app}").into())
}

/// Runs the program with the settings of the Management API.
fn run(inputs: &Inputs, args: &[&str], timeout: Duration) -> Result<ExecOutput, CharmError> {
    let args = args.iter().map(|arg| (*arg).to_owned());
    let exec = Exec {
        command: std::iter::once(inputs.surroundings.program()).chain(args).collect(),
        service_context: Some(workload::MANAGEMENT.to_owned()),
        // The user of the image has no home.
        working_dir: Some("/".to_owned()),
        timeout,
        max_output: MOST_OUTPUT,
        ..Exec::default()
    };
    Ok(Pebble::in_folder(&inputs.surroundings.containers, CONTAINER).exec(&exec)?)
}

/// What the program printed, if it ended with 0 or one of `good`; else why it did not.
fn text_of<'a>(output: &'a ExecOutput, good: &[i64]) -> Result<&'a str, CharmError> {
    if output.exit_code == 0 || good.contains(&output.exit_code) {
        return Ok(output.stdout.expose_secret());
    }
    let words = output.stderr.expose_secret();
    let reason = words.lines().rev().find_map(|line| line.strip_prefix("Error: "));
    Err(reason.unwrap_or("the program in the workload failed").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_never_get_near_a_command_line() {
        for name in ["a", "microcloud-01", "A.b_c-9", &"x".repeat(63)] {
            assert!(is_cluster_name(name), "{name}");
        }
        for name in
            ["", "$(id)", "; rm", "a\nb", "-x", "x-", "--help", "a b", "é", "a/b", &"x".repeat(64)]
        {
            assert!(!is_cluster_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_result_holds_whole_parts_only() {
        let part = "x".repeat(LONGEST_RESULT / 4 - 1);
        assert_eq!(fitting(std::iter::repeat_n(part.as_str(), 3)), 3);
        assert_eq!(fitting(std::iter::repeat_n(part.as_str(), 9)), 4);
        assert_eq!(fitting(std::iter::once("x".repeat(LONGEST_RESULT).as_str())), 0);
    }
}
