//! Names and identifiers of the model, as types that cannot be mixed up.

use std::borrow::Cow;
use std::fmt;

/// A text that is not the name or identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} \"{text}\" is not valid")]
pub struct InvalidName {
    /// What was expected, for example `unit name`.
    pub what: &'static str,
    /// What was found.
    pub text: String,
}

impl InvalidName {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.to_owned() }
    }
}

/// Name of an application, for example `postgresql-k8s`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(String);

impl AppName {
    /// Reads a name: letters, digits and hyphens, starting with a letter.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if it is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let good = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| InvalidName::new("application name", text))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name of a unit, for example `postgresql-k8s/0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName {
    app: AppName,
    number: u32,
    text: String,
}

impl UnitName {
    /// Reads `<application>/<number>`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if it is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::new("unit name", text);
        let (app, number) = text.split_once('/').ok_or_else(invalid)?;
        let app = AppName::parse(app).map_err(|_| invalid())?;
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| number.parse().ok()).flatten().ok_or_else(invalid)?;
        Ok(Self { app, number, text: text.to_owned() })
    }

    /// The application that the unit belongs to.
    #[must_use]
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// The unit's number within its application.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Name of a relation endpoint of this charm, as its metadata declares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(Cow<'static, str>);

impl Endpoint {
    /// An endpoint that the charm knows when it is built.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Endpoint {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

/// A relation: endpoint and number, for example `database:4`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationId {
    endpoint: Endpoint,
    number: u32,
}

impl RelationId {
    /// The relation with this number at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint, number: u32) -> Self {
        Self { endpoint, number }
    }

    /// Reads `<endpoint>:<number>`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if it is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::new("relation id", text);
        let (endpoint, number) = text.rsplit_once(':').ok_or_else(invalid)?;
        if endpoint.is_empty() {
            return Err(invalid());
        }
        let number = number.parse().map_err(|_| invalid())?;
        Ok(Self { endpoint: endpoint.to_owned().into(), number })
    }

    /// The endpoint that the relation is at.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The number, unique in the model.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl fmt::Display for RelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.endpoint, self.number)
    }
}

/// Identifier of a secret as Juju gave it, for example `secret:d0a2aa5mp25c7f0f2b00`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretId(String);

impl SecretId {
    /// Takes the identifier as it is: Juju knows several forms, all of which its tools accept.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! display_as_str {
    ($($name:ident),*) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        })*
    };
}

display_as_str!(AppName, UnitName, Endpoint, SecretId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_name_has_an_application_and_a_number() {
        let unit = UnitName::parse("microcloud-cluster-manager-k8s/12").unwrap();
        assert_eq!(unit.app().as_str(), "microcloud-cluster-manager-k8s");
        assert_eq!(unit.number(), 12);
        assert_eq!(unit.to_string(), "microcloud-cluster-manager-k8s/12");
        for text in ["", "app", "app/", "/0", "app/x", "app/-1", "app/+1", "app/0/1", "-a/0"] {
            assert!(UnitName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_relation_id_is_split_at_the_last_colon() {
        let id = RelationId::parse("database:42").unwrap();
        assert_eq!((id.endpoint().as_str(), id.number()), ("database", 42));
        assert_eq!(id.to_string(), "database:42");
        for text in ["", "42", "database:", ":42", "database:x"] {
            assert!(RelationId::parse(text).is_err(), "{text:?}");
        }
    }
}
