//! [`Carried`]: which attributes of a session go with it to another server, and how.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::session::Attributes;

/// The attributes that are carried, by names on which all servers agree.
#[derive(Clone, Default)]
pub(crate) struct Carried(Vec<Carrier>);

#[derive(Clone)]
struct Carrier {
    name: Cow<'static, str>,
    type_id: TypeId,
    type_name: &'static str,
    save: Save,
    load: Load,
}

type Save = Arc<dyn Fn(&Attributes) -> Option<serde_json::Result<Vec<u8>>> + Send + Sync>;
type Load = Arc<dyn Fn(&Attributes, &[u8]) -> serde_json::Result<()> + Send + Sync>;

impl Carried {
    pub(crate) fn add<T>(&mut self, name: impl Into<Cow<'static, str>>)
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.0.push(Carrier {
            name: name.into(),
            type_id: TypeId::of::<T>(),
            type_name: std::any::type_name::<T>(),
            save: Arc::new(|attributes| Some(serde_json::to_vec(&*attributes.get_shared::<T>()?))),
            load: Arc::new(|attributes, value| {
                attributes.insert::<T>(serde_json::from_slice(value)?);
                Ok(())
            }),
        });
    }

    /// What is wrong with what is to be carried.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (index, carrier) in self.0.iter().enumerate() {
            for other in &self.0[..index] {
                if carrier.name == other.name {
                    problems.push(format!("two attributes are carried by the name `{}`", carrier.name));
                }
                if carrier.type_id == other.type_id {
                    let (name, other, ty) = (&carrier.name, &other.name, carrier.type_name);
                    problems
                        .push(format!("the attribute `{ty}` is carried twice, as `{other}` and as `{name}`"));
                }
            }
        }
        problems
    }

    /// The attributes that there are, by name. It is the application's code that writes them: one that cannot be written, it does not carry.
    pub(super) fn save(&self, attributes: &Attributes) -> Vec<(Arc<str>, Bytes)> {
        let saved = self.0.iter().filter_map(|carrier| {
            let saved = catch_unwind(AssertUnwindSafe(|| (carrier.save)(attributes)));
            match saved {
                Ok(Some(Ok(value))) => return Some((carrier.name.as_ref().into(), value.into())),
                Ok(None) => {}
                Ok(Some(Err(error))) => {
                    tracing::warn!(attribute = %carrier.name, %error, "an attribute cannot be carried");
                }
                Err(_) => tracing::error!(attribute = %carrier.name, "an attribute panicked when it was to be carried"),
            }
            None
        });
        saved.collect()
    }

    /// Puts back what was saved. A name that is not known here, as of another version of the program, is none of our business.
    pub(super) fn load(&self, attributes: &Attributes, saved: &[(Arc<str>, Bytes)]) {
        for (name, value) in saved {
            let Some(carrier) = self.0.iter().find(|carrier| *carrier.name == **name) else { continue };
            match catch_unwind(AssertUnwindSafe(|| (carrier.load)(attributes, value))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(attribute = %name, %error, "a carried attribute cannot be read");
                }
                Err(_) => tracing::error!(attribute = %name, "a carried attribute panicked when it was read"),
            }
        }
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|carrier| &carrier.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_carried_by_name() {
        let mut carried = Carried::default();
        carried.add::<String>("nick");
        carried.add::<Vec<u32>>("scores");
        let (from, to) = (Attributes::default(), Attributes::default());
        from.insert(String::from("Bo"));
        from.insert(7u8);
        let saved = carried.save(&from);
        assert_eq!(saved, [("nick".into(), Bytes::from_static(b"\"Bo\""))]);
        carried.load(&to, &saved);
        assert_eq!(to.get::<String>().as_deref(), Some("Bo"));
        assert!(!to.contains::<u8>() && !to.contains::<Vec<u32>>());
        // Of another version.
        carried.load(&to, &[("scores".into(), Bytes::from_static(b"{}")), ("new".into(), Bytes::new())]);
        assert!(!to.contains::<Vec<u32>>());
    }

    #[test]
    fn a_name_and_a_type_are_carried_once() {
        let mut carried = Carried::default();
        carried.add::<String>("a");
        carried.add::<u8>("b");
        assert!(carried.problems().is_empty());
        carried.add::<u16>("a");
        carried.add::<u8>("c");
        assert_eq!(carried.problems().len(), 2, "{:?}", carried.problems());
    }
}
