//! First step: everything that decisions rest on, read once.

use ops::tools::calls::Bag;
use ops::{ConfigError, Endpoint, Leader, Model, RelationId, ToolError};
use relations::postgresql_client::DatabaseAnswer;
use relations::{BagError, Databag};

use crate::config::Config;
use crate::endpoints;

/// What the charm knows about the model at this moment.
#[derive(Debug)]
pub struct Inputs {
    /// Name of our application, for commands that we tell people.
    pub app: String,
    /// The options, or what is wrong with them.
    pub config: Result<Config, WrongOption>,
    /// The database relation, if there is one.
    pub database: Option<Database>,
    /// The relation `certificates` exists.
    pub certificates: bool,
    /// The relation `oauth` exists.
    pub oauth: bool,
    /// The relation `traefik-route` exists.
    pub traefik_route: bool,
    /// Relations of `send-ca-cert`, with our databag if we are the leader.
    pub send_ca_cert: Vec<Own>,
}

/// An option that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongOption {
    /// Name of the option.
    pub option: String,
    /// What is wrong with it, without the value.
    pub reason: String,
}

/// The database relation.
#[derive(Debug)]
pub struct Database {
    /// Our side.
    pub own: Own,
    /// The provider's side: `None` before it has written anything.
    pub answer: Result<Option<DatabaseAnswer>, BagError>,
}

/// Our application's side of one relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Which relation.
    pub id: RelationId,
    /// Our application databag; `None` if we are not the leader and may not even read it.
    pub bag: Option<Bag>,
}

/// Reads everything.
///
/// # Errors
///
/// [`ToolError`] if Juju does not answer. Wrong options and unusable databags are inputs.
pub fn observe(model: &Model<'_>) -> Result<Inputs, ToolError> {
    let config = match model.config() {
        Ok(config) => Ok(config),
        Err(ConfigError::Option { option, reason }) => Err(WrongOption { option, reason }),
        Err(ConfigError::Tool(error)) => return Err(error),
    };
    let leader = model.leader()?;
    let related = |endpoint: &Endpoint| Ok::<_, ToolError>(!model.relations(endpoint)?.is_empty());
    Ok(Inputs {
        app: model.app().to_string(),
        config,
        database: database(model, leader.as_ref())?,
        certificates: related(&endpoints::CERTIFICATES)?,
        oauth: related(&endpoints::OAUTH)?,
        traefik_route: related(&endpoints::TRAEFIK_ROUTE)?,
        send_ca_cert: model
            .relations(&endpoints::SEND_CA_CERT)?
            .into_iter()
            .map(|id| own(model, leader.as_ref(), id))
            .collect::<Result<_, _>>()?,
    })
}

/// The metadata allows one database relation; if there are more, the oldest counts.
fn database(model: &Model<'_>, leader: Option<&Leader<'_>>) -> Result<Option<Database>, ToolError> {
    let Some(id) = model.relations(&endpoints::DATABASE)?.into_iter().next() else {
        return Ok(None);
    };
    let answer = DatabaseAnswer::decode(&model.remote_app_data(&id)?);
    Ok(Some(Database { own: own(model, leader, id)?, answer }))
}

fn own(model: &Model<'_>, leader: Option<&Leader<'_>>, id: RelationId) -> Result<Own, ToolError> {
    let bag = leader.map(|leader| model.own_app_data(leader, &id)).transpose()?;
    Ok(Own { id, bag })
}
