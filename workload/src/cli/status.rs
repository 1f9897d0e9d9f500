//! `status`: how the deployment stands.

use serde_json::{Value, json};
use workload_config::{Config, Takeover};

use super::output::{Ending, Format};
use super::table::Table;
use super::{Failure, pool, short_time};
use crate::domain::status::{self, Status};
use crate::edge::rate_limit::Peers;
use crate::{Chain, domain, run};

/// Looks and prints. A database that is away is a result here, not a failure: this is the command for such a day.
pub(super) async fn run(config: &Config, format: Format) -> Result<Ending, Failure> {
    let pool = pool(config)?;
    let status = match status::look(&pool).await {
        Ok(status) => status,
        Err(domain::Error::Store(error)) => {
            let error = Chain(&error).to_string();
            let text = format!("The database does not answer: {error}\n");
            let json = json!({
                "version": config.version,
                "database": { "reachable": false, "error": error },
            });
            format.print(&json, || text)?;
            return Ok(Ending::Away);
        }
        Err(error) => return Err(error.into()),
    };
    let waiting = run::waiting_takeover(config).await?;
    let waiting = Waiting {
        clusters: waiting.clusters.copied,
        tokens: waiting.tokens.copied,
        refused: waiting.refused,
    };
    let problems = problems(&status, config, &waiting);
    format
        .print(&json(&status, config, &waiting, &problems), || text(&status, config, &problems))?;
    Ok(if problems.is_empty() { Ending::Well } else { Ending::Attention })
}

/// What an earlier product's database still holds.
struct Waiting {
    clusters: usize,
    tokens: usize,
    refused: Option<String>,
}

/// What needs an operator, each in a sentence that says what to do.
fn problems(status: &Status, config: &Config, waiting: &Waiting) -> Vec<String> {
    let mut problems = Vec::new();
    let newest = status.newest_schema_version;
    match status.schema_version {
        None => problems
            .push("the database has no schema yet: start a service or run `migrate`".to_owned()),
        Some(version) if version < newest => problems.push(format!(
            "the schema has version {version} and this program needs {newest}: start a service or run `migrate`"
        )),
        Some(version) if version > newest => problems.push(format!(
            "the schema has version {version}, this program knows {newest}: use the newer release of the program"
        )),
        Some(_) => {}
    }
    for service in ["management-api", "cluster-connector"] {
        if !status.services.iter().any(|running| running.service == service) {
            problems.push(format!("no {service} is connected to the database: start it"));
        }
    }
    if let Some(reason) = &waiting.refused {
        problems.push(reason.clone());
    }
    if waiting.clusters + waiting.tokens > 0 {
        let how = match config.takeover {
            Takeover::Automatic => "restart a service or run `takeover --apply`",
            Takeover::Off => "run `takeover --apply`",
        };
        problems.push(format!(
            "the earlier Cluster Manager's tables hold more than was taken over (clusters: {}, join tokens: {}): {how}",
            waiting.clusters, waiting.tokens
        ));
    }
    problems
}

fn json(status: &Status, config: &Config, waiting: &Waiting, problems: &[String]) -> Value {
    json!({
        "version": config.version,
        "database": {
            "reachable": true,
            "postgresql": status.postgresql,
            "schema_version": status.schema_version,
            "newest_schema_version": status.newest_schema_version,
            "schema_is_current": status.schema_is_current(),
        },
        "services": status.services,
        "clusters": status.content.as_ref().map(|content| content.clusters),
        "pending_join_tokens": status.content.as_ref().map(|content| content.pending_join_tokens),
        "sessions": status.content.as_ref().map(|content| content.sessions),
        "takeover": {
            "last": status.content.as_ref().and_then(|content| content.last_takeover.as_ref()),
            "waiting_clusters": waiting.clusters,
            "waiting_tokens": waiting.tokens,
        },
        "limits_per_address": match Peers::new(&config.balancer) {
            Peers::Clients => "all",
            Peers::ClientsOutside(_) => "outside_balancers",
            Peers::Unknown => "none",
        },
        "problems": problems,
    })
}

fn text(status: &Status, config: &Config, problems: &[String]) -> String {
    let mut table = Table::pairs();
    table.row(["Version", &config.version]);
    table.row(["Database", &format!("PostgreSQL {}", status.postgresql)]);
    let schema = match status.schema_version {
        None => "none".into(),
        Some(version) if status.schema_is_current() => format!("version {version}, up to date"),
        Some(version) => {
            format!("version {version}, this program has {}", status.newest_schema_version)
        }
    };
    table.row(["Schema", &schema]);
    for service in &status.services {
        let from = service.address.map_or_else(|| "this machine".into(), |at| at.to_string());
        let since = short_time(service.connected_since);
        let connections = service.connections;
        let text =
            format!("{} at {from}, connections: {connections}, since {since}", service.service);
        table.row(["Service", &text]);
    }
    if let Some(content) = &status.content {
        let clusters = &content.clusters;
        let text = format!(
            "{}: {} online, {} waiting, {} stale, {} never reported, {} offline",
            clusters.total,
            clusters.online,
            clusters.waiting,
            clusters.stale,
            clusters.never,
            clusters.offline
        );
        table.row(["Clusters", &text]);
        table.row(["Join tokens", &content.pending_join_tokens.to_string()]);
        table.row(["Sessions", &content.sessions.to_string()]);
        if let Some(last) = &content.last_takeover {
            let (clusters, tokens) = (last.clusters, last.tokens);
            let text = format!(
                "clusters: {clusters}, join tokens: {tokens}, last on {}",
                short_time(last.at)
            );
            table.row(["Taken over", &text]);
        }
    }
    table.row(["Limits", &Peers::new(&config.balancer).to_string()]);
    for problem in problems {
        table.row(["Attention", problem]);
    }
    table.to_string()
}
