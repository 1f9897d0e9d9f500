use url::Url;

/// The address of a cluster's own web UI, as a cluster reports it and as operators may click it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UiUrl(String);

/// A text that is not an acceptable address of a cluster's web UI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "ui_url must be an https address of at most 2048 bytes without user information, on another host than this manager"
)]
pub struct InvalidUiUrl;

impl UiUrl {
    /// Keeps `text` only if it is an absolute `https` address without user information, at most 2,048 bytes long, on a host
    /// that is none of `own_hosts` (hosts of the manager itself, as the URL standard writes them). Anything else becomes empty: a
    /// link that a cluster chooses must never lead back into the operator's session.
    #[must_use]
    pub fn sanitise(text: &str, own_hosts: &[String]) -> Self {
        Self(Self::shown(text, own_hosts).to_owned())
    }

    /// What may be shown of an address that was stored under other circumstances: the same rule as for [`Self::sanitise`].
    #[must_use]
    pub fn shown<'a>(text: &'a str, own_hosts: &[String]) -> &'a str {
        Self::accepted(text, own_hosts).map_or("", |()| text)
    }

    /// Parses the address that an operator writes: the same rule, but what breaks it is refused instead of dropped. An empty
    /// text is no address.
    ///
    /// # Errors
    ///
    /// [`InvalidUiUrl`] when the text breaks the rule.
    pub fn parse(text: &str, own_hosts: &[String]) -> Result<Self, InvalidUiUrl> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::accepted(text, own_hosts).map(|()| Self(text.to_owned())).ok_or(InvalidUiUrl)
    }

    fn accepted(text: &str, own_hosts: &[String]) -> Option<()> {
        if text.len() > 2048
            || !text.is_ascii()
            || text.contains(|c: char| c.is_ascii_control() || c == ' ' || c == '\\')
        {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?.trim_end_matches('.');
        let plain = url.scheme() == "https"
            && text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
            && url.username().is_empty()
            && url.password().is_none()
            && !host.is_empty();
        (plain && !own_hosts.iter().any(|own| own == host)).then_some(())
    }

    /// The address, or an empty text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_08_only_plain_https_links_to_other_hosts_survive() {
        let own = ["manager.example.com", "192.0.2.1", "[2001:db8::2]"].map(str::to_owned);
        for good in [
            "https://10.40.7.11:8443",
            "https://lxd.example.com/ui/?a=b",
            "https://[2001:db8::1]:8443",
            "HTTPS://a.example",
        ] {
            assert_eq!(UiUrl::sanitise(good, &own).as_str(), good);
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://10.0.0.1:8443",
            "//10.0.0.1",
            "https:10.0.0.1",
            "https:\\\\10.0.0.1",
            "https://user@10.0.0.1",
            "https://user:pass@10.0.0.1",
            "https://manager.example.com/1.0/remote-cluster/a/tunnel/1.0",
            "https://MANAGER.example.com",
            "https://manager.example.com.:443/",
            "https://192.0.2.1:9100",
            "https://0xc0000201/",
            "https://[2001:DB8:0::2]:8443/",
            "https://a.example/\u{202e}",
            "https://a.example/ b",
            "https://",
        ] {
            assert_eq!(UiUrl::sanitise(bad, &own).as_str(), "", "{bad}");
            assert_eq!(UiUrl::parse(bad, &own).is_ok(), bad.is_empty(), "{bad}");
        }
        assert_eq!(
            UiUrl::sanitise(&format!("https://a.example/{}", "x".repeat(2048)), &own).as_str(),
            ""
        );
    }
}
