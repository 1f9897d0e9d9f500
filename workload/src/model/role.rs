use serde::Serialize;

/// What a person may do; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees the fleet.
    Viewer,
    /// Enrols and configures clusters, and works on them through the tunnel.
    Operator,
    /// Everything.
    Admin,
}

/// Which groups of the identity provider give which role.
#[derive(Debug, Clone, Default)]
pub struct RoleGroups {
    /// Groups whose members are admins.
    pub admin: Vec<String>,
    /// Groups whose members are operators.
    pub operator: Vec<String>,
    /// Groups whose members are viewers.
    pub viewer: Vec<String>,
}

impl RoleGroups {
    /// The highest role that one of `groups` gives; `None` when none gives any.
    #[must_use]
    pub fn role(&self, groups: &[String]) -> Option<Role> {
        let among = |giving: &[String]| groups.iter().any(|group| giving.contains(group));
        if among(&self.admin) {
            Some(Role::Admin)
        } else if among(&self.operator) {
            Some(Role::Operator)
        } else if among(&self.viewer) {
            Some(Role::Viewer)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_09_the_highest_role_counts_and_names_are_compared_to_the_letter() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let groups = RoleGroups {
            admin: list(&["admins", "root"]),
            operator: list(&["ops"]),
            viewer: list(&["staff", "ops"]),
        };
        for (member_of, role) in [
            (&["root"][..], Some(Role::Admin)),
            (&["staff", "admins"], Some(Role::Admin)),
            (&["ops"], Some(Role::Operator)),
            (&["staff"], Some(Role::Viewer)),
            (&["Admins", "admins ", "admin"], None),
            (&[], None),
        ] {
            assert_eq!(groups.role(&list(member_of)), role, "{member_of:?}");
        }
        assert_eq!(RoleGroups::default().role(&list(&["", "admins"])), None);
        assert!(Role::Admin > Role::Operator && Role::Operator > Role::Viewer);
    }
}
