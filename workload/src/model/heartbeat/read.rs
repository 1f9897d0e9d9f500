//! How a heartbeat is read from JSON.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, Deserializer};
use workload_config::HeartbeatLimits;

use super::Heartbeat;

/// Reads a heartbeat. An entry of a list may take a hundred times the memory that it takes on the wire, so that a list that is too
/// long is refused while it is read.
#[derive(Debug, Clone, Copy)]
pub struct Within<'l>(pub(super) &'l HeartbeatLimits);

const KEYS: [&str; 12] = [
    "ceph_statuses",
    "cpu_total_count",
    "cpu_load_1",
    "cpu_load_5",
    "cpu_load_15",
    "memory_total_amount",
    "memory_usage",
    "storage_pool_usages",
    "member_statuses",
    "instance_statuses",
    "server_metrics",
    "ui_url",
];

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = Heartbeat;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Heartbeat, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = Heartbeat;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a heartbeat")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Heartbeat, A::Error> {
        let HeartbeatLimits { entries, metrics, .. } = *self.0;
        let mut heartbeat = Heartbeat::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key_seed(KnownKey)? {
            if let Some(key) = key {
                if seen.contains(&key) {
                    return Err(A::Error::duplicate_field(key));
                }
                seen.push(key);
            }
            let it = &mut heartbeat;
            match key.unwrap_or_default() {
                "ceph_statuses" => it.ceph_statuses = map.next_value_seed(list(entries))?,
                "cpu_total_count" => it.cpu_total_count = whole(&mut map)?,
                "cpu_load_1" => it.cpu_load_1 = text(&mut map)?,
                "cpu_load_5" => it.cpu_load_5 = text(&mut map)?,
                "cpu_load_15" => it.cpu_load_15 = text(&mut map)?,
                "memory_total_amount" => it.memory_total_amount = whole(&mut map)?,
                "memory_usage" => it.memory_usage = whole(&mut map)?,
                "storage_pool_usages" => {
                    it.storage_pool_usages = map.next_value_seed(list(entries))?;
                }
                "member_statuses" => it.member_statuses = map.next_value_seed(list(entries))?,
                "instance_statuses" => it.instance_statuses = map.next_value_seed(list(entries))?,
                "server_metrics" => it.server_metrics = map.next_value_seed(list(metrics))?,
                "ui_url" => it.ui_url = text(&mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(heartbeat)
    }
}

/// One of [`KEYS`], or a key that means nothing to us.
struct KnownKey;

impl<'de> DeserializeSeed<'de> for KnownKey {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KnownKey {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(KEYS.into_iter().find(|known| *known == key))
    }
}

fn list<T>(most: usize) -> List<T> {
    List(most, PhantomData)
}

/// A text; null is an empty one.
fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    Ok(map.next_value::<Option<String>>()?.unwrap_or_default())
}

/// A whole number; null is 0.
fn whole<'de, A: MapAccess<'de>>(map: &mut A) -> Result<i64, A::Error> {
    let WholeOrNull(number) = map.next_value()?;
    Ok(number)
}

#[derive(Deserialize)]
struct WholeOrNull(#[serde(deserialize_with = "number_or_null")] i64);

/// What somebody sent in the place of something else. serde would repeat it in the error, however long it is.
const TEXT: Unexpected<'static> = Unexpected::Other("string");

/// A list of at most so many objects; null is an empty one. A derived `Deserialize` also takes a list of values for an object: we do
/// not.
struct List<T>(usize, PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for List<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<T>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Vec<T>, E> {
        Err(E::invalid_type(TEXT, &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(OfObject(entry)) = entries.next_element()? {
            if list.len() == self.0 {
                let text = format_args!("a list must have at most {} entries", self.0);
                return Err(A::Error::custom(text));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

struct OfObject<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OfObject<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Err(E::invalid_type(TEXT, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A number.
pub(super) fn number<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    let number = from.deserialize_any(NumberVisitor(PhantomData))?;
    number.ok_or_else(|| D::Error::invalid_type(Unexpected::Unit, &"a number"))
}

/// A number; null is 0.
pub(super) fn number_or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(from.deserialize_any(NumberVisitor(PhantomData))?.unwrap_or_default())
}

/// Leaves it to `T` which numbers it takes.
struct NumberVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NumberVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<T>, E> {
        Err(E::invalid_type(TEXT, &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<T>, E> {
        T::deserialize(number.into_deserializer()).map(Some)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        T::deserialize(number.into_deserializer()).map(Some)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<T>, E> {
        T::deserialize(number.into_deserializer()).map(Some)
    }
}

pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
