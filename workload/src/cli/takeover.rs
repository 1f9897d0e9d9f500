//! `takeover`: what the earlier Cluster Manager left in the database.

use clap::Args;
use workload_config::Config;

use super::Failure;
use super::output::{Ending, Format};
use super::table::Table;
use crate::domain::takeover::{Counts, NewerSchema, Outcome, Repair, Report};
use crate::{Chain, run};

/// Whether to look or to act.
#[derive(Debug, Args)]
pub(super) struct TakeoverArguments {
    #[command(flatten)]
    action: Action,
    /// Take what this program knows of a database with a newer schema than it was made for
    #[arg(long)]
    accept_newer: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Action {
    /// Say what would be copied, what is damaged and how it is repaired, and what cannot be taken over; change nothing
    #[arg(long)]
    check: bool,
    /// Bring the schema up to date and take over what was not taken over before
    #[arg(long)]
    apply: bool,
}

/// Runs the command.
pub(super) async fn run(
    config: &Config,
    arguments: TakeoverArguments,
    format: Format,
) -> Result<Ending, Failure> {
    let newer = if arguments.accept_newer { NewerSchema::Accepted } else { NewerSchema::Refused };
    let report = if arguments.action.apply {
        match run::apply_takeover(config, newer, &super::origin()).await {
            Err(run::StartError::Takeover(error)) if error.is_refusal() => Report {
                found: true,
                refused: Some(Chain(&error).to_string()),
                ..Report::default()
            },
            result => result?,
        }
    } else {
        run::check_takeover(config, newer).await?
    };
    format.print(&report, || text(&report))?;
    Ok(if report.refused.is_some() {
        Ending::Refused
    } else if report.needs_attention() {
        Ending::Attention
    } else {
        Ending::Well
    })
}

fn text(report: &Report) -> String {
    if !report.found {
        return "The earlier Cluster Manager left nothing in this database.\n".into();
    }
    if let Some(reason) = &report.refused {
        return format!("Nothing is taken over: {reason}.\n");
    }
    let mut paragraphs = vec![what_was_found(report)];
    if report.sessions > 0 {
        let count = report.sessions;
        paragraphs
            .push(format!("Sessions are not taken over ({count}): people log in once more.\n"));
    }
    let mut repairs = Table::new(&["CLUSTERS", "REPAIR"]);
    for repair in Repair::ALL {
        let count = report.repaired(repair);
        if count > 0 {
            repairs.row([&count.to_string(), repair.sentence()]);
        }
    }
    let mut behind = Table::new(&["KIND", "NAME", "REASON"]);
    let mut notes = Table::new(&["KIND", "NAME", "NOTE"]);
    for item in &report.items {
        if item.outcome != Outcome::Copied {
            let reason = item.reason.as_deref().unwrap_or_default();
            behind.row([item.kind.as_str(), &item.name, reason]);
        }
        for note in &item.notes {
            notes.row([item.kind.as_str(), &item.name, note]);
        }
    }
    for (heading, table) in
        [("Repaired", repairs), ("Not copied", behind), ("Worth knowing", notes)]
    {
        if !table.is_empty() {
            paragraphs.push(format!("{heading}\n{table}"));
        }
    }
    paragraphs.extend(report.warnings.iter().map(|warning| format!("Warning: {warning}.\n")));
    if !report.applied && report.clusters.copied + report.tokens.copied > 0 {
        let how =
            "Nothing was changed. Start a service or run `takeover --apply` to take this over.\n";
        paragraphs.push(how.into());
    }
    paragraphs.join("\n")
}

fn what_was_found(report: &Report) -> String {
    let version = report
        .schema_version
        .map_or_else(|| "of unknown schema version".into(), |n| format!("of schema version {n}"));
    let copied = if report.applied { "COPIED" } else { "TO COPY" };
    let mut table =
        Table::new(&["", "FOUND", "DONE BEFORE", copied, "LEFT BEHIND", "CANNOT BE COPIED"]);
    for (what, counts) in [("Clusters", report.clusters), ("Join tokens", report.tokens)] {
        let Counts { found, already, copied, left, refused } = counts;
        let [found, already, copied, left, refused] =
            [found, already, copied, left, refused].map(|count| count.to_string());
        table.row([what, &found, &already, &copied, &left, &refused]);
    }
    format!("The earlier Cluster Manager left a database {version}.\n\n{table}")
}
