//! Who may use which route. A route that is not in the table is closed to everybody: whoever adds one decides here who needs it.

use salvo::http::Method;

use crate::model::Role;

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Anyone,
    /// A session or an access token, whatever its person may do.
    SignedIn,
    /// At least this role.
    Role(Role),
}

const VIEWER: Access = Access::Role(Role::Viewer);
const OPERATOR: Access = Access::Role(Role::Operator);
const ADMIN: Access = Access::Role(Role::Admin);

/// Method, pattern as the router has it, and who may. `HEAD` is `GET`; `*` is any method.
pub const ROUTES: [(&str, &str, Access); 41] = [
    ("*", "/", Access::Anyone),
    ("GET", "/ui/{**path}", Access::Anyone),
    ("GET", "/oidc/login", Access::Anyone),
    ("GET", "/oidc/callback", Access::Anyone),
    // The token in it says who speaks.
    ("POST", "/oidc/backchannel-logout", Access::Anyone),
    ("GET", "/oidc/logout", Access::Anyone),
    ("POST", "/oidc/logout", Access::Anyone),
    ("GET", "/1.0/status", Access::Anyone),
    ("GET", "/1.0", Access::SignedIn),
    ("GET", "/1.0/configuration", VIEWER),
    ("GET", "/1.0/login-check", ADMIN),
    ("GET", "/1.0/remote-cluster", VIEWER),
    ("GET", "/1.0/remote-cluster/{name}", VIEWER),
    ("PATCH", "/1.0/remote-cluster/{name}", OPERATOR),
    ("DELETE", "/1.0/remote-cluster/{name}", ADMIN),
    ("GET", "/1.0/remote-cluster/{name}/tunnel/{**path}", OPERATOR),
    ("POST", "/1.0/remote-cluster/{name}/tunnel/{**path}", OPERATOR),
    ("PUT", "/1.0/remote-cluster/{name}/tunnel/{**path}", OPERATOR),
    ("PATCH", "/1.0/remote-cluster/{name}/tunnel/{**path}", OPERATOR),
    ("DELETE", "/1.0/remote-cluster/{name}/tunnel/{**path}", OPERATOR),
    ("GET", "/1.0/remote-cluster-join-token", VIEWER),
    ("POST", "/1.0/remote-cluster-join-token", OPERATOR),
    ("DELETE", "/1.0/remote-cluster-join-token/{name}", OPERATOR),
    ("POST", "/1.0/remote-cluster/{name}/rotation-token", ADMIN),
    ("GET", "/1.0/openapi.json", VIEWER),
    ("GET", "/1.0/warnings", VIEWER),
    ("GET", "/1.0/fleet/clusters", VIEWER),
    ("GET", "/1.0/fleet/summary", VIEWER),
    ("GET", "/1.0/fleet/history", VIEWER),
    ("GET", "/1.0/fleet/history/{name}", VIEWER),
    ("GET", "/1.0/fleet/events", VIEWER),
    // To remove clusters an admin is needed, as for one alone.
    ("POST", "/1.0/fleet/actions", OPERATOR),
    ("GET", "/1.0/sessions", VIEWER),
    ("DELETE", "/1.0/sessions", VIEWER),
    ("DELETE", "/1.0/sessions/{id}", VIEWER),
    ("GET", "/1.0/identities", ADMIN),
    ("GET", "/1.0/identities/{id}/sessions", ADMIN),
    ("DELETE", "/1.0/identities/{id}/sessions", ADMIN),
    ("DELETE", "/1.0/identities/{id}/sessions/{session}", ADMIN),
    ("GET", "/1.0/audit", ADMIN),
    ("GET", "/1.0/audit/export", ADMIN),
];

/// Who may use the route; `None` when it is not in the table.
pub(super) fn needed(method: &Method, pattern: &str) -> Option<Access> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let mut rows = ROUTES.iter();
    rows.find(|(of, path, _)| (*of == method || *of == "*") && *path == pattern).map(|row| row.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_09_a_route_that_nobody_declared_is_closed() {
        assert_eq!(needed(&Method::HEAD, "/1.0/remote-cluster"), Some(VIEWER));
        assert_eq!(needed(&Method::PUT, "/"), Some(Access::Anyone));
        assert_eq!(needed(&Method::PUT, "/1.0/remote-cluster"), None);
        assert_eq!(needed(&Method::GET, "/1.0/remote-cluster/lyon"), None);
        assert_eq!(needed(&Method::GET, "/1.0/nothing"), None);
    }

    #[test]
    fn oidc_09_each_route_is_declared_once_and_nothing_below_the_api_is_open_by_accident() {
        let rows: std::collections::BTreeSet<_> =
            ROUTES.iter().map(|(method, path, _)| (method, path)).collect();
        assert_eq!(rows.len(), ROUTES.len());
        let open = ROUTES.iter().filter(|row| row.1.starts_with("/1.0") && row.2 == Access::Anyone);
        assert_eq!(open.map(|row| row.1).collect::<Vec<_>>(), ["/1.0/status"]);
    }
}
