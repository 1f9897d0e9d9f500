//! Names and descriptions of simulated clusters: places of the world with what stands there.

/// Places: the part of the name, and the words of the description.
const PLACES: &[(&str, &str)] = &[
    ("lyon", "Lyon"),
    ("quito", "Quito"),
    ("oslo", "Oslo"),
    ("nairobi", "Nairobi"),
    ("osaka", "Osaka"),
    ("porto", "Porto"),
    ("austin", "Austin"),
    ("perth", "Perth"),
    ("gdansk", "Gdańsk"),
    ("lima", "Lima"),
    ("tunis", "Tunis"),
    ("hanoi", "Hanoi"),
    ("bergen", "Bergen"),
    ("boston", "Boston"),
    ("dakar", "Dakar"),
    ("graz", "Graz"),
    ("leeds", "Leeds"),
    ("malmo", "Malmö"),
    ("nantes", "Nantes"),
    ("pune", "Pune"),
    ("riga", "Riga"),
    ("split", "Split"),
    ("taipei", "Taipei"),
    ("utrecht", "Utrecht"),
    ("vilnius", "Vilnius"),
    ("wroclaw", "Wrocław"),
    ("zagreb", "Zagreb"),
    ("accra", "Accra"),
    ("bilbao", "Bilbao"),
    ("cardiff", "Cardiff"),
    ("davao", "Davao"),
    ("essen", "Essen"),
    ("fresno", "Fresno"),
    ("geneva", "Geneva"),
    ("hobart", "Hobart"),
    ("izmir", "İzmir"),
    ("jaipur", "Jaipur"),
    ("kyoto", "Kyoto"),
    ("leipzig", "Leipzig"),
    ("medellin", "Medellín"),
    ("naples", "Naples"),
    ("odense", "Odense"),
    ("plovdiv", "Plovdiv"),
    ("quebec", "Québec"),
    ("recife", "Recife"),
    ("seville", "Seville"),
    ("tampere", "Tampere"),
    ("ulsan", "Ulsan"),
    ("valencia", "Valencia"),
    ("windhoek", "Windhoek"),
    ("xalapa", "Xalapa"),
    ("york", "York"),
    ("zurich", "Zürich"),
    ("aarhus", "Aarhus"),
    ("brno", "Brno"),
    ("cork", "Cork"),
    ("denver", "Denver"),
    ("esbjerg", "Esbjerg"),
    ("faro", "Faro"),
    ("ghent", "Ghent"),
    ("halifax", "Halifax"),
    ("incheon", "Incheon"),
    ("jena", "Jena"),
    ("kigali", "Kigali"),
    ("linz", "Linz"),
    ("mendoza", "Mendoza"),
    ("nagoya", "Nagoya"),
    ("oulu", "Oulu"),
    ("pecs", "Pécs"),
    ("reading", "Reading"),
    ("salta", "Salta"),
    ("tartu", "Tartu"),
    ("umea", "Umeå"),
    ("varna", "Varna"),
    ("wellington", "Wellington"),
    ("yokohama", "Yokohama"),
    ("zadar", "Zadar"),
    ("antwerp", "Antwerp"),
    ("bogota", "Bogotá"),
    ("cusco", "Cusco"),
    ("dresden", "Dresden"),
    ("exeter", "Exeter"),
    ("fukuoka", "Fukuoka"),
    ("girona", "Girona"),
];

/// What stands at a place: the part of the name, and the words of the description.
const ROLES: &[(&str, &str)] = &[
    ("edge", "Edge rack"),
    ("lab", "Laboratory"),
    ("core", "Data centre"),
    ("plant", "Factory"),
    ("depot", "Depot"),
    ("campus", "Campus"),
    ("store", "Shop floor"),
    ("port", "Harbour site"),
    ("clinic", "Clinic"),
    ("studio", "Studio"),
    ("office", "Office"),
    ("backup", "Backup site"),
    ("grid", "Substation"),
    ("rail", "Rail yard"),
    ("media", "Broadcast van"),
    ("school", "School"),
    ("farm", "Farm"),
    ("test", "Test bench"),
    ("mill", "Mill"),
    ("hub", "Regional hub"),
    ("tower", "Radio tower"),
    ("mine", "Mine"),
    ("museum", "Museum"),
    ("kiosk", "Kiosk"),
    ("yard", "Yard"),
];

/// A name for a cluster with words that describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// A valid cluster name: lower-case letters, digits and `-`, at most 63 characters.
    pub name: String,
    /// Free text, such as `Edge rack, Lyon`.
    pub description: String,
}

impl Site {
    /// The site with this number, from 0. Different numbers give different names; the first
    /// hundreds come without digits, later ones end in `-2`, `-3` and so on.
    #[must_use]
    pub fn number(number: usize) -> Self {
        // Both lists advance together. Their lengths have no common divisor, so every place meets
        // every role once in a round.
        let round = number / (PLACES.len() * ROLES.len()) + 1;
        let place = PLACES.get(number % PLACES.len()).copied().unwrap_or_default();
        let role = ROLES.get(number % ROLES.len()).copied().unwrap_or_default();
        if round == 1 {
            Self {
                name: format!("{}-{}", place.0, role.0),
                description: format!("{}, {}", role.1, place.1),
            }
        } else {
            Self {
                name: format!("{}-{}-{round}", place.0, role.0),
                description: format!("{} {round}, {}", role.1, place.1),
            }
        }
    }

    /// The first `count` sites.
    pub fn first(count: usize) -> impl Iterator<Item = Self> {
        (0..count).map(Self::number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn twenty_thousand_names_are_unique_and_valid() {
        let mut seen = HashSet::new();
        for site in Site::first(20_000) {
            let name = site.name.as_bytes();
            assert!((1..=63).contains(&name.len()), "{}", site.name);
            let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            assert!(edge(name.first()) && edge(name.last()), "{}", site.name);
            let inner = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-';
            assert!(name.iter().all(inner), "{}", site.name);
            assert!(!site.description.is_empty() && site.description.len() <= 80);
            assert!(seen.insert(site.name.clone()), "{} comes twice", site.name);
        }
    }

    #[test]
    fn the_first_names_are_plain() {
        let first: Vec<_> = Site::first(2).collect();
        assert_eq!(first[0].name, "lyon-edge");
        assert_eq!(first[0].description, "Edge rack, Lyon");
        assert_eq!(first[1].name, "quito-lab");
        assert!(Site::first(1000).all(|s| !s.name.contains(|c: char| c.is_ascii_digit())));
        assert_eq!(Site::number(PLACES.len() * ROLES.len()).name, "lyon-edge-2");
    }
}
