use std::sync::Arc;

use salvo::{Depot, Request};

use crate::edge::ApiError;
use crate::model::{Actor, Device, Operator, Origin, Role, RoleGroups, SessionId};

/// Who makes a request.
#[derive(Clone)]
pub(super) struct Caller {
    /// The person.
    pub(super) operator: Operator,
    /// What the person may do; `None`: nothing but see who they are.
    pub(super) role: Option<Role>,
    /// The session; scripts with an access token have none.
    pub(super) session: Option<Arc<SessionId>>,
    /// The person and the place, for the audit log.
    pub(super) origin: Origin,
}

impl Caller {
    pub(super) fn new(
        operator: Operator,
        session: Option<Arc<SessionId>>,
        roles: &RoleGroups,
        origin: &Origin,
    ) -> Self {
        let origin = origin.by(Actor::person(&operator.identity));
        Self { role: roles.role(&operator.groups), operator, session, origin }
    }
}

/// Who makes this request. Routes that anyone may use have no caller.
pub(super) fn caller(depot: &Depot) -> Result<Caller, ApiError> {
    depot.get_typed::<Caller>().cloned().map_err(|_| ApiError::Unauthorized)
}

/// Where a request comes from.
pub(super) fn device(req: &Request) -> Device {
    let user_agent = req.headers().get("user-agent").and_then(|value| value.to_str().ok());
    Device {
        source: crate::edge::source(req),
        user_agent: user_agent.unwrap_or_default().chars().take(256).collect(),
    }
}
