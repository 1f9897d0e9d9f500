//! `tokens`: join tokens that nobody used yet.

use clap::Subcommand;
use time::OffsetDateTime;
use workload_config::Config;

use super::output::{Ending, Format};
use super::table::{Table, printable};
use super::{Failure, pool, short_time};
use crate::domain::join_tokens::{self, JoinTokenRequest, Purpose};
use crate::management_api::JoinTokenView;
use crate::model::PendingJoinToken;

/// What to do with join tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokensCommand {
    /// List the tokens that nobody used yet (what `tokens` alone does); their text cannot be had again
    List,
    /// Revoke the token of a cluster: nobody can join with it any more
    Revoke {
        /// Name of the cluster, exactly
        name: String,
    },
    /// Create a token with which an enrolled cluster joins again, with another certificate, and print it on standard output
    Rotate {
        /// Name of the cluster, exactly
        name: String,
        /// End of the token's life as RFC 3339 time, such as 2026-11-30T18:00:00Z; 24 hours from now by default
        #[arg(short, long, value_parser = super::parse_time)]
        expire: Option<OffsetDateTime>,
    },
}

/// Runs the command.
pub(super) async fn run(
    config: &Config,
    command: TokensCommand,
    format: Format,
) -> Result<Ending, Failure> {
    let pool = pool(config)?;
    match command {
        TokensCommand::List => {
            let tokens = join_tokens::list(&pool).await?;
            let text = list_text(&tokens);
            let views: Vec<JoinTokenView> = tokens.into_iter().map(JoinTokenView::from).collect();
            format.print(&views, || text)?;
        }
        TokensCommand::Revoke { name } => {
            join_tokens::revoke(&pool, &name, &super::origin()).await?;
            let text = format!("Revoked the join token of {}.\n", printable(&name));
            format.print(&serde_json::json!({ "revoked": name }), || text)?;
        }
        TokensCommand::Rotate { name, expire } => {
            let request = JoinTokenRequest {
                cluster_name: name,
                expiry: expire,
                purpose: Purpose::Rotate,
                ..JoinTokenRequest::default()
            };
            let token = super::create_token(config, request).await?;
            let text = format!("{}\n", token.expose());
            format.print(&serde_json::json!({ "token": token.expose() }), || text)?;
        }
    }
    Ok(Ending::Well)
}

fn list_text(tokens: &[PendingJoinToken]) -> String {
    if tokens.is_empty() {
        return "No join token is pending.\n".into();
    }
    let mut table = Table::new(&["CLUSTER", "FOR", "CREATED", "EXPIRES", "DESCRIPTION"]);
    for token in tokens {
        let expires = short_time(token.expires_at);
        let expires = if token.expired { format!("expired {expires}") } else { expires };
        table.row([
            &token.cluster_name,
            if token.rotation { "another certificate" } else { "a new cluster" },
            &short_time(token.created_at),
            &expires,
            &token.description,
        ]);
    }
    table.to_string()
}
